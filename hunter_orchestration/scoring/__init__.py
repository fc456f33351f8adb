"""How good a lead is and why: rules file, engine, explanation, what-if, sales briefing."""
