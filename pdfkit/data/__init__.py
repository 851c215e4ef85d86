"""What is measured: curves, the instrument, errors, and what data say of themselves."""
