from handlebar.server.dashboard.mounting import create_dashboard as create_dashboard
