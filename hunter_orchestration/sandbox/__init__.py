"""Local stand-ins for Microsoft's services, DNS and RDAP, spoken to over real sockets. Never loaded in production."""
