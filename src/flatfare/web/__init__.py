"""What people see in a browser: pages, pictures, and later the API and the dashboard."""
