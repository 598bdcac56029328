"""A judge is calibrated by whatever labels there are, those of complaints too."""

from flatfare.service.judging import calibrating

CAUGHT_BY = ("../service/judging/test_sampling.py::test_only_what_the_plan_drew_calibrates_the_judge",)

calibrating.drawn_sql = lambda plan, task_id: "TRUE"
