"""The process: settings, deadlines, and code that runs before the app is loaded."""
