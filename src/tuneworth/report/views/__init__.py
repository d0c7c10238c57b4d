"""What the page shows beside the Report's own values: computed from a Report, pure, as plain frozen values."""
