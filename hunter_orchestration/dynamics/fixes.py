"""What a person can do about a record that did not arrive, in plain words: by the key that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "altered_in_crm": "A rule in Dynamics changes what Hunter writes. Change it, or take the field out of the mapping.",
    "choose_candidate": "Say which of the records it is, or that it is none of them.",
    "closed_in_crm": "It is closed in Dynamics, so Hunter leaves it alone. Reopen it there if it should go on.",
    "currency_unknown": "Add the currency in Dynamics.",
    "field_forbidden": "Give Hunter's application user the right to write this field.",
    "key_unusable": "Its key holds characters that Dynamics cannot look up. Correct the company's domain.",
    "merged_in_crm": "It was merged in Dynamics; the other record stands for it.",
    "not_scored": "Scan and score the company first.",
    "option_unknown": "Add the choice in Dynamics, or change the mapping.",
    "option_unmapped": "Give this value a label in the mapping.",
    "payload_wrong": "A field is missing in Dynamics. Run hunter dynamics setup.",
    "plugin_refused": "A plug-in or rule in Dynamics refused it. Fill in what its message names.",
    "priority": "Its priority is kept out of Dynamics. Change skip_priorities in the mapping if it should go there.",
    "privilege_missing": "Give Hunter's application user the missing privilege in Dynamics.",
    "record_access_missing": "Share the record with Hunter's application user.",
    "recreate_on_demand": "Make it again only if you want it back: hunter dynamics recreate.",
    "required_missing": "Fill in the missing value, or give the field a default in the mapping.",
    "see_crm_message": "Correct what the message names.",
    "text_too_long": "Make the field longer in Dynamics, or shorten the text.",
    "value_not_allowed": "Correct the value here, or its transform in the mapping.",
    "value_out_of_range": "Correct the value: it lies outside what the field takes.",
    "waits_for_next_run": "Nothing: the next push tries it again.",
}
