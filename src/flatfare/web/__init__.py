"""What people see in a browser: the API, the dashboard, and what it draws."""
