"""What a company's domain tells: DNS engine, providers, SPF, DKIM, DMARC, registration, tenant discovery, IP data."""

from hunter_orchestration.scanning.findings import inputs_of

__all__ = ["inputs_of"]
