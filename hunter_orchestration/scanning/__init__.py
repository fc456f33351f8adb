"""What a company's domain tells: DNS engine, mail providers, SPF, DKIM, DMARC, registration, tenant discovery, IP data."""
