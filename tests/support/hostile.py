"""Documents that attack whoever shows them: markup, scripts, hidden and turned letters."""

from __future__ import annotations

_PROSE = (
    " and this is the rest of a document that says the same thing as another one, long enough "
    "to be signed and to be found as a copy of it when the two are compared word by word"
)
ATTACK = "window.__owned = (window.__owned || 0) + 1"
HOSTILE = (
    f"<script>{ATTACK}</script> of the{_PROSE}",
    f"<script>{ATTACK}</script> of the{_PROSE} again",
    f"</script><script>{ATTACK}</script>{_PROSE[:40]}",
    f'<img src="x" onerror="{ATTACK}"> the picture is not of that place, and be careful with it',
    f'<svg onload="{ATTACK}"><animate onbegin="{ATTACK}" attributeName=x /></svg> the end of it',
    f"<iframe srcdoc='<script>parent.{ATTACK}</script>'></iframe> and that is the whole of it",
    f'"><a href="javascript:{ATTACK}">the link that you have to click, and that with care</a>',
    "\u202egnp.exe\u202c is the file and \u2066be careful\u2069 with\u200b that\ufeff one",
    "<!-- --> ]]> \u2028 \u2029 ${7*7} {{7*7}} the template of that and be done with it",
    "the " + "x" * 50_000 + " of that",
    "<b>",
    f"<style>*{{display:none}}</style><template><script>{ATTACK}</script></template> be the end",
)
