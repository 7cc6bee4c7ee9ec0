"""What texts say that speak to a model: a list of known forms, in the open."""

from goldgate.agent.safety.injection_languages import OTHER_LANGUAGES, OTHER_LANGUAGES_IN_CONTEXT

_OWN = r"(?:instruction|direction|prompt|rule|guideline|guardrail|restriction|polic(?:y|ies)|filter|order|command)s?"
_EARLIER = (
    r"(?:all|any|every|the|your|my|these|those|previous|prior|above|earlier|preceding|former|initial|original|"
    r"existing|current|system|safety|of|and|other)"
)
_SAY = r"(?:say|tell|answer|reply|respond|include|add|call|output)"
_MODEL = r"(?:ai|llm|assistant|chatbot|language model|model|bot|gpt)"
_ONLY_MODEL = r"(?:ai|llm|assistant|chatbot|language model|gpt)"
"""Without words that ordinary texts have for other things: `all models must be registered`."""

_NAMES = r"(?:claude|chatgpt|gemini|copilot|ai|assistant)"
_WILD = r"(?:evil|unrestricted|unfiltered|uncensored|jailbroken)"

IN_QUESTION = (
    # Replace what was said before.
    (
        r"\b(?:ignore|disregard|forget|override|bypass|skip|drop|discard|neglect)\s+"
        r"(?!the\s+\w+\s+(?:of|in|for|from)\b)"  # the rules of something else
        rf"(?:{_EARLIER}\s+){{1,5}}{_OWN}"
    ),
    (
        r"\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?(?:\w+\s+){0,3}?"
        r"(?:above|before|said|told|earlier|so far)"
    ),
    rf"\b(?:do not|don't|stop)\s+(?:follow(?:ing)?|obey(?:ing)?)\s+(?:{_EARLIER}\s+){{1,4}}{_OWN}",
    r"\b(?:new|updated|real|actual)\s+(?:system\s+)?(?:instructions?|prompt|rules)\s*(?::|are\b|follow)",
    r"\b(?:pay no attention to|set aside)\s+(?:\w+\s+){0,4}(?:instructions?|rules|directions|guidelines|told you)",
    (
        r"\b(?:instructions?|rules|guidelines)\b[^.?!\n]{0,40}\b(?:no longer apply to you|"
        r"are (?:cancelled|void|revoked)|"
        r"(?:must|should) be ignored|none of)"
    ),
    (
        r"\byour\s+(?:\w+\s+){0,2}(?:instructions?|rules|guidelines|prompt)\s+(?:\w+\s+)"
        r"{0,2}(?:cancelled|void|revoked|invalid)"
    ),
    r"\bnone of your (?:\w+\s+)?(?:rules|instructions|guidelines)\b",
    (
        r"\b(?:disregard|ignore|forget)\s+"
        r"(?:the above|what (?:you (?:were|have been|are) told|i (?:said|told you|wrote)))\b"
        r"[^.?!\n]{0,20}(?:;|\b(?:and|instead)\b)"
    ),
    (
        r"\b(?:stop|instead|earlier|above|done)\b[^\n]{0,30}\bnew task\s*:|\byour (?:new|real|actual|only) "
        r"(?:objective|task|goal|role|mission|purpose)\s*(?:is\b|:)"
    ),
    (
        r"\b(?:previous|prior|earlier|safety)\s+(?:\w+\s+)?(?:restrictions?|rules|instructions|limits|guidelines)\s+"
        r"(?:are|have been|were)\s+(?:now\s+)?(?:lifted|removed|void|cancelled|suspended|revoked)\b[^.?!\n]{0,20}"
        r"\b(?:comply|obey|you)\b"
    ),
    (
        r"\b(?:previous|last) (?:system )?(?:message|prompt)\s+(?:was|is)\s+(?:only\s+|just\s+)?an?\s+(?:\w+\s+)?"
        r"(?:test|mistake|joke|fake)\b"
    ),
    (
        r"\b(?:from this point(?: on| onwards?| forward)|henceforth),?\s+(?:you\b|answer|reply|respond|obey)|"
        r"\bobey\s+(?:only\s+)?me\b"
    ),
    # The same in other languages.
    *OTHER_LANGUAGES,
    # Become somebody else.
    (
        r"\b(?:you are now|from now on,? you(?:'re| are| will| must| shall)?|"
        r"pretend (?:to be|that you|you(?:'re| are)))\b"
    ),
    rf"\bact (?:as|like) (?:if you (?:were|are|had)|(?:an? )?(?:{_WILD}|dan\b))",
    rf"\byou(?:'re| are) (?:dan\b|an? {_WILD})|\byou have a new (?:role|identity)\b",
    r"\bpretend you (?:have|had|can|do)\b",
    r"\b(?:ai|assistant|model|chatbot) (?:with no|without(?: any)?) (?:rules|limits|restrictions|guidelines|filters)\b",
    (
        r"\b(?:jailbreak|jailbroken|do anything now|developer mode|god mode|dan mode)\b(?! (?:in|of|for|settings?)\b)|"
        r"\b(?:answer|reply|respond|speak|talk|write)\b[^.?!\n]{0,30}\bwithout any (?:restriction|filter)s?\b"
    ),
    # Tell what is not to be told.
    (
        r"\b(?:reveal|print|show|repeat|output|display|leak|disclose|dump|tell me|give me|what (?:is|are|does)|recite|"
        r"copy)\b[^.?!\n]{0,40}\b(?:your|the|hidden|secret|initial|original)\s+(?:\w+\s+)?"
        r"(?:system (?:prompt|message|instructions?)|(?:hidden|secret|initial|original) "
        r"(?:prompt|instructions?|message)|prompt verbatim|own instructions)\b(?! (?:for|format|options?|queue)\b)"
    ),
    r"\bwhat (?:were|are) your (?:initial|original|system|first|secret|hidden) (?:instructions|prompt|rules)\b",
    (
        r"\b(?:translate|summari[sz]e|encode|print|repeat|output) your (?:\w+\s+)?"
        r"(?:instructions|prompt|rules|guidelines|configuration)\b"
    ),
    (
        r"\b(?:tell|show|print|repeat|output|give|summari[sz]e|translate)\b[^.?!\n]{0,20}\b(?:text|words|everything) "
        r"(?:above|before) this (?:line|message|point)\b"
    ),
    r"\byour (?:system )?(?:prompt|instructions?)\b[^.?!\n]{0,30}\b(?:verbatim|word for word|above)",
    r"\brepeat (?:everything|all (?:the )?(?:text|words)|the (?:text|words)) (?:above|before)",
    # Forge the conversation.
    (
        r"<\|(?:im_start|im_end|system|assistant|user|endoftext)\|>|(?-i:\[/?INST\])|<</?SYS>>|"
        r"\[(?:system|assistant)\]\(#"
    ),
    # Blanks are taken in one place only, and not over lines where a line begins: the time would grow with the square.
    (
        r"^[ \t]*(?:#{2,}[ \t]*)?(?:system|assistant)[ \t]{0,9}(?:prompt[ \t]{0,9})"
        r"?:[ \t]{0,9}(?!linux\b|windows\b|macos\b|load\b)[a-z]"
    ),
    r"\b(?:(?:system|admin|developer)\s+(?:override|prompt)|admin message)\s*:",
    (
        r"\b(?:system|developer|root)\s+(?:message|notice|command)\s*:[^.?!\n]{0,80}"
        r"\b(?:you|your|assistant|ai|model|instructions?|ignore|disregard|reveal|comply)\b"
    ),
)

IN_CONTEXT = (
    *IN_QUESTION,
    *OTHER_LANGUAGES_IN_CONTEXT,
    # Speak to the model instead of to the reader.
    (
        rf"\b(?:(?:any|all)\s+{_ONLY_MODEL}|(?:dear|attention|to the|to all|if you are an?|as an?)\s+{_MODEL})s?\b"
        rf"[^.?!\n]{{0,60}}"
        rf"\b(?:must|should|shall|always|{_SAY}|mark|recommend|rank|state|confirm|approve|reading this)\b"
    ),
    (
        rf"\b{_MODEL}(?:s| agents?| models?)?\s+(?:reading|processing|summari[sz]ing|who reads?|"
        rf"that reads?)\s+(?:this|these)\b"
    ),
    rf"^[ \t]{{0,20}}{_MODEL}s?\s*:\s*(?:rank|recommend|mark|approve|ignore|{_SAY})\b",
    rf"\b(?:instructions?|rules|orders)\s+(?:for|to)\s+(?:the\s+|all\s+)?{_MODEL}s?\b",
    (
        rf"\bthe (?:assistant|chatbot|llm|ai|language model)\s+(?:must|has to|shall)\s+(?:{_SAY}|"
        rf"recommend|mark|confirm|approve)\b"
    ),
    # Order a tool.
    (
        r"\b(?:call|use|invoke|run|execute)\s+the\s+(?:(?:tool|function)\s+[`'\"]?[a-z]+_\w+|"
        r"[`'\"]?[a-z]+_\w+[`'\"]?\s+tool|"
        r"shell tool)\b(?!\s+(?:only|if|when)\b)"
    ),
    r"\b(?:granted|given) access to the tool\b",
    r"\bbefore (?:answering|replying|responding),?\s+(?:first\s+)?(?:call|use|invoke|run|send|fetch|open|get|visit)\b",
    (
        r"\b(?:send|forward|post|upload|exfiltrate)\b[^.?!\n]{0,40}\b(?:user|conversation|chat|"
        r"configuration|api|secret|"
        r"password|key|token|credential|data)\w{0,4}(?:'s)?\b[^.?!\n]{0,30}\b(?:to|at)\s+(?:https?://|\S{1,64}@\S)"
    ),
    # Hide from the user.
    (
        r"\b(?:do not|don't|never)\s+(?:mention|reveal|tell|show|say|disclose)\b[^.?!\n]{0,30}"
        r"\b(?:to the (?:user|human|reader)|that you (?:read|saw|got))"
    ),
    r"\b(?:hide|keep|conceal)\b[^.?!\n]{0,20}\b(?:this|these|it)\b[^.?!\n]{0,20}\bfrom the (?:user|human|reader)s?\b",
    r"^[ \t]{0,20}(?:human|user)[ \t]{0,9}:[^\n]{0,200}\s+assistant\s*:",
    r"</?(?:system|system_prompt|instructions)>|\"role\"\s*:\s*\"system\"\s*,\s*\"content\"",
    r"</(?:passage|attachment|tool_result|question)\s*>",
    (
        rf"\b{_ONLY_MODEL}\b\s*(?:(?:(?:assistant|model|agent)s?|s)\s*)?[,:!-][^.?!\n]{{0,80}}"
        rf"\b(?:must|should|shall|please|ignore|{_SAY}|send|use|run|write)\b"
    ),
    (
        rf"\b(?:when|if|whenever)\s+(?:you(?:'re| are)?|the (?:user|{_MODEL}))\s+(?:\w+\s+){{0,3}}?"
        rf"(?:asked?|answer\w*|summari[sz]\w*|read\w*|process\w*)\b[^.?!\n]{{0,60}}\b{_SAY}\b"
    ),
    (
        r"\b(?:instead,?|you (?:must|should|shall|have to|will|need to)|always|only)\s+(?:(?:now|only|always)\s+)?"
        r"(?:say|answer|reply|respond|output|tell the user)\b(?! (?:within|before|after)\b)"
    ),
    r"\b(?:do not|don't|never)\s+(?:tell|inform|mention (?:this|it) to|alert|warn)\s+(?:the\s+)?(?:user|human|reader)",
    rf"\b(?:instructions?|note|message|important)\s+(?:to|for)\s+(?:the\s+)?{_MODEL}\b",
    r"\binstructions?\s+(?:for|to)\s+(?:the\s+|all\s+)?(?:ai\s+)?agents?\s*:",
    rf"\b(?:hey|hi|hello|ok|dear)\s+{_NAMES}\b|\b(?:chatgpt|claude),\s+(?:when|please|you|if)\b",
    (
        rf"\b(?:the assistant|{_ONLY_MODEL}s?(?: \w+)?) (?:must|should|has to|needs to) (?:now |always )?"
        r"(?:call|transfer|send|score|grant|rate|hire|delete)\b"
    ),
    r"\byou must (?:now|immediately) (?:call|invoke|use|run|execute|send)\b|\bas the assistant, ",
    r"\bthe user (?:has )?(?:authori[sz]ed|wants|permitted|allowed|instructed)\s+(?:you|the assistant) to\b",
    # Send what was said elsewhere, by a picture or an address.
    r"\b(?:append|add|include|insert|embed|render)\b[^.?!\n]{0,40}!\[[^\]\n]{0,80}\]\(https?:",
    (
        r"https?://[^\s)]{1,200}[?&=](?:[a-z_]{1,30}=)?[{<\[](?:the )?"
        r"(?:user|conversation|chat|data|secret|history|message)"
    ),
    # What a poisoned tool says of itself.
    (
        r"\bbefore using this tool\b[^\n]{0,80}\b(?:read|open|send|pass|call|include|fetch)\b|"
        r"<important>[^<]{0,200}\b(?:read|tool|send|pass|assistant|you)\b"
    ),
)
