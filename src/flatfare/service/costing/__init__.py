"""What calls cost: read, priced by dated rates, explained, and priced anew."""
