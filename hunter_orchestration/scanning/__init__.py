"""What a company's domain tells: DNS engine, providers, SPF, DKIM, DMARC, registration, tenant discovery, IP data."""
