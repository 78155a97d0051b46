"""What every web framework's integration is made of: settings, visits, answers, checks."""
