"""The leaderboard: paths ranked by cost per verified outcome within a benchmark and a domain."""
