"""What an order is once it meets a broker: words, ports, life-cycle and reconciliation; pure, and known to both processes."""
