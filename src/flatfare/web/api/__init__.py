"""The API: one module a noun, each a list of endpoints."""

from flatfare.web.api import actions, budgets, calls, invoices, keys, reports, reviews, signals, tasks

ENDPOINTS = (
    *reports.ENDPOINTS,
    *actions.ENDPOINTS,
    *tasks.ENDPOINTS,
    *calls.ENDPOINTS,
    *keys.ENDPOINTS,
    *invoices.ENDPOINTS,
    *budgets.ENDPOINTS,
    *reviews.ENDPOINTS,
    *signals.ENDPOINTS,
)
