"""Import: other people's records of calls, tasks, verdicts and boards, read as ours or said why not.

A file comes in whole or not at all, a row is read exactly or rejected with its
reason, and reading the same record again changes nothing.
"""
