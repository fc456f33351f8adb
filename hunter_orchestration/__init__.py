"""Hunter: referrals become companies, are scanned, scored and pushed into Dynamics 365.

Layers, one way only: ``defs``, ``web`` and ``cli`` use the rooms ``partner_center``, ``companies``, ``scanning``,
``scoring`` and ``dynamics``; the rooms use ``store``; ``store`` uses ``settings`` and ``logging``.
"""
