"""What people are told of: alerts, digests, the weekly report."""
