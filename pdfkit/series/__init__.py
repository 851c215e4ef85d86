"""Series: scans over temperature, time, composition or position, fitted one like the other and kept in one file."""
