"""What trials have measured: as plain rows, as the answers they gave, and gathered into the cells that are compared."""
