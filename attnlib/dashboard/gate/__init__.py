"""What every request passes before the app: names, sign-in, headers, health, logs, numbers."""
