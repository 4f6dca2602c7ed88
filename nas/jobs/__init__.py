"""What a user starts: each job is settings, a run, the files it leaves and the page that shows it."""
