"""What is not about search spaces: errors, files, safe YAML, the JSON-lines log. Imports nothing of the project."""
