"""The API: one module a noun, each a list of endpoints."""

from flatfare.web.api import (
    actions,
    budgets,
    calls,
    customers,
    guards,
    invoices,
    keys,
    ledger,
    packs,
    prices,
    reports,
    reviews,
    sales,
    signals,
    tasks,
)

ENDPOINTS = (
    *reports.ENDPOINTS,
    *actions.ENDPOINTS,
    *tasks.ENDPOINTS,
    *calls.ENDPOINTS,
    *prices.ENDPOINTS,
    *keys.ENDPOINTS,
    *invoices.ENDPOINTS,
    *budgets.ENDPOINTS,
    *guards.ENDPOINTS,
    *reviews.ENDPOINTS,
    *signals.ENDPOINTS,
    *customers.ENDPOINTS,
    *packs.ENDPOINTS,
    *ledger.ENDPOINTS,
    *sales.ENDPOINTS,
)
