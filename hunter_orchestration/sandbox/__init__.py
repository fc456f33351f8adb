"""Local stand-ins for Microsoft's services, DNS and RDAP, spoken to over real HTTP and real DNS. Never loaded in production."""
