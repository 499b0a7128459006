"""When people work: wall time, weekly windows, holidays, business time, cron and recurrences."""
