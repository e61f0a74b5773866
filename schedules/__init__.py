"""What happens when the clock says so; every schedule asks the exchange calendar itself."""
