"""What texts say that speak to a model, in languages other than English: more in those of the west than elsewhere."""

# ruff: noqa: RUF001 - letters of other scripts are what is looked for

_GERMAN_RULES = r"(?:(?:system)?anweisung|regel|vorgabe|richtlinie|instruktion|systemprompt)\w{0,3}"
_FRENCH_RULES = r"(?:instructions|consignes|règles|directives)"
_SPANISH_RULES = r"(?:instrucciones|reglas|normas|indicaciones|istruzioni|regole|instruções|regras)"

_ELSEWHERE: tuple[str, ...] = (
    # Only the commonest form, "ignore all earlier instructions": Russian and Ukrainian, Polish, Turkish, Chinese,
    # Japanese, Korean, Arabic.
    r"(?:игнорируй|игнорируйте|ігноруй|забудь|забудьте)\s+(?:[а-яёіїє]+\s+){0,3}(?:инструкци|указани|правил|інструкці|вказівк)",
    r"\b(?:z?ignoruj|pomiń|zapomnij o)\s+(?:\w+\s+){0,3}(?:instrukcj|polece|zasad)",
    r"\b(?:önceki|yukarıdaki)\s+(?:\w+\s+){0,2}(?:talimat|komut|kural)\w{0,8}\s+(?:yok say|unut|görmezden gel)",
    r"(?:忽略|无视|無視|忘记|忘記)[^。\n]{0,12}(?:指令|指示|提示|规则|規則)",
    r"(?:指示|命令|ルール|プロンプト)を[^。\n]{0,6}(?:無視|忘れ)",
    r"(?:지시|명령|지침|규칙)\S{0,3}\s+(?:모두\s+|전부\s+)?(?:무시|잊)",
    r"(?:تجاهل|انس)\s+(?:\w+\s+){0,2}(?:التعليمات|الأوامر|القواعد)",
)

OTHER_LANGUAGES: tuple[str, ...] = (
    (
        rf"\b(?:ignorier|missacht|vergiss|vergesse)\w*\s+(?:sie\s+)?(?:alle|die|deine|ihre|sämtliche)\s+"
        rf"(?:\w+\s+){{0,2}}{_GERMAN_RULES}\b"
    ),
    rf"\b(?:deine|ihre)\s+(?:\w+\s+){{0,2}}{_GERMAN_RULES}\s+(?:gelten nicht|sind (?:ungültig|aufgehoben))",
    (
        rf"\b(?:beachte\w{{0,2}}|befolge\w{{0,2}})\s+(?:sie\s+)?(?:die|deine|ihre)\s+(?:obigen|vorherigen|"
        rf"bisherigen)\s+{_GERMAN_RULES}\s+nicht\b"
    ),
    r"\b(?:vergiss|vergessen sie)\s+alles\b",
    rf"\bhalte? dich nicht an (?:deine|die)\s+(?:\w+\s+){{0,2}}{_GERMAN_RULES}",
    rf"\b(?:befolge|folge)\s+(?:ab jetzt\s+)?(?:nur\s+)?(?:noch\s+)?(?:diesen?|den)\s+neuen\s+{_GERMAN_RULES}",
    r"\bdu bist (?:jetzt|nun|ab jetzt) (?:ein|dan\b)|\bab jetzt bist du\b|\btu so, als (?:wärst|ob) du\b",
    (
        rf"\b(?:gib|zeig\w{{0,2}}|wiederhole|nenne)\b[^.?!\n]{{0,30}}\b(?:dein\w{{0,2}})\s+(?:\w+\s+)?{_GERMAN_RULES}|"
        r"\bwiederhole alles, was über"
    ),
    (
        rf"\b(?:ignore[rz]?|oublie[rz]?|désobéis|néglige[rz]?)\s+(?:toutes\s+)?(?:les|tes|vos)\s+(?:\w+\s+"
        rf"){{0,2}}{_FRENCH_RULES}|"
        r"\b(?:oublie|oubliez)\s+tout\b"
    ),
    rf"\bne (?:tiens|tenez) pas compte (?:de|des)\s+(?:tes\s+|vos\s+)?(?:\w+\s+){{0,2}}{_FRENCH_RULES}",
    rf"\b(?:tes|vos)\s+{_FRENCH_RULES}\s+(?:\w+\s+)?sont annulées|\bne suis plus (?:les|tes)\s+{_FRENCH_RULES}",
    rf"\b(?:suis|suivez)\s+(?:uniquement\s+)?ces nouvelles {_FRENCH_RULES}",
    r"\btu es maintenant (?:un|une|dan\b)|\bfais comme si tu (?:étais|n'avais)",
    (
        r"\b(?:affiche|montre|révèle|répète|donne)\w{0,2}\b[^.?!\n]{0,20}\b(?:ton|tes|votre|vos)\s+(?:\w+\s+)?"
        r"(?:prompt|instructions|consignes)|\brépète tout ce qui"
    ),
    (
        rf"\b(?:ignor[ae]\w{{0,2}}|olvid[ae]\w{{0,2}}|esque[cç]a\w{{0,2}}|dimentica\w{{0,2}}|desobedece\w{{0,2}})\s+"
        rf"(?:todas\s+|tutte\s+)?(?:as|las|tus|le|los|sus)\s+(?:\w+\s+){{0,2}}{_SPANISH_RULES}"
    ),
    r"\b(?:olvida|esqueça)\s+(?:todo lo que|tudo o que)\b",
    rf"\bno sigas\s+(?:las|tus)\s+(?:\w+\s+)?{_SPANISH_RULES}|\bhaz caso omiso de (?:las|tus)\s+{_SPANISH_RULES}",
    rf"\b(?:tus|sus)\s+{_SPANISH_RULES}\s+(?:\w+\s+)?quedan? anuladas|\bsigue (?:solo )?estas nuevas {_SPANISH_RULES}",
    r"\bahora eres un|\bfinge que eres\b|\bactúa como si (?:fueras|no)",
    (
        r"\b(?:muestra|revela|repite|imprime)\b[^.?!\n]{0,20}\b(?:tu|tus)\s+(?:\w+\s+)?(?:prompt|instrucciones)|"
        r"\brepite todo lo que"
    ),
    r"\bnegeer\s+(?:alle|de|je)\s+(?:\w+\s+)?(?:instructies|regels)",
    *_ELSEWHERE,
)

_GERMAN_MODEL = r"(?:ki|assistent(?:en)?|sprachmodelle?|modell|chatbots?)"
_ROMANCE_MODEL = (
    r"(?:ia|assistant|modèles? de langage|modelos? de lenguaje|asistente|modelo|modèle|assistente|modello linguistico)"
)

OTHER_LANGUAGES_IN_CONTEXT: tuple[str, ...] = (
    rf"\b(?:hinweis|nachricht|anweisung)\s+(?:an|für)\s+(?:die|den|das|alle)\s+{_GERMAN_MODEL}\b",
    rf"\b(?:lieber?|liebes|an alle)\s+{_GERMAN_MODEL}\b",
    rf"\b(?:der|die|das|jede)\s+{_GERMAN_MODEL}\s+(?:muss|soll|sollte)\s",
    r"\bwenn du (?:diese[nrs]?|den|das|die)?\s*(?:\w+\s+){0,2}(?:zusammenfasst|liest|verarbeitest)",
    r"\bdu (?:musst|sollst)\s+(?:jetzt\s+)?[^.?!\n]{0,40}\b(?:antworten|sagen|schreiben|ausgeben)\b",
    r"\b(?:rufe|rufen sie|benutze|verwende)\s+das\s+(?:werkzeug|tool)\s+[`'\"]?[a-z]+_",
    (
        r"\b(?:sende|schicke|leite)\b[^.?!\n]{0,40}\b(?:nutzers?|gespräch|passwort|schlüssel)"
        r"\b[^.?!\n]{0,20}\ban\s+(?:https?://|\S{1,64}@\S)"
    ),
    (
        r"\b(?:sag|erwähne|verrate|zeige?)\b[^.?!\n]{0,20}\b(?:dem (?:be)?nutzer)\b[^.?!\n]{0,10}\bnicht|"
        r"\bnicht gegenüber dem (?:be)?nutzer"
    ),
    (
        rf"\b(?:note|message|instructions|nota|mensaje|instrucciones)\s+(?:à|a|pour|para|al|per)\s*(?:l'|"
        rf"la |el |le |los |il )?{_ROMANCE_MODEL}\b"
    ),
    rf"\b(?:cher|estimado|querido|caro)\s+{_ROMANCE_MODEL}\b",
    rf"\b(?:si tu es|si eres|se sei)\s+(?:un|une|el|la)?\s*{_ROMANCE_MODEL}\b",
    (
        r"\b(?:l'assistant|el asistente|l'assistente|l'ia|la ia)\s+(?:doit|debe|deve)\s+(?:inclure|dire|"
        r"répondre|recommander|"
        r"incluir|decir|responder|recomendar|rispondere|dire|includere)"
    ),
    r"\bquand tu (?:résumes|lis|traites)\b|\bcuando (?:resumas|leas|proceses)\b",
    r"\btu dois (?:maintenant )?(?:répondre|dire|écrire)\b|\bdebes (?:ahora )?(?:responder|decir|escribir)\b",
    r"\b(?:appelle|utilise)\s+l'outil\s+[`'\"]?[a-z]+_|\b(?:llama a|usa)\s+la\s+herramienta\s+[`'\"]?[a-z]+_",
    (
        r"\b(?:envoie|transfère|envía|reenvía|manda)\b[^.?!\n]{0,40}\b(?:utilisateur|usuario|"
        r"conversation|conversación|clave|mot de "
        r"passe)\b[^.?!\n]{0,20}(?:\bà|\ba)\s+(?:https?://|\S{1,64}@\S)"
    ),
    (
        r"\bne (?:dis|mentionne|révèle)\b[^.?!\n]{0,30}\bà l'utilisateur|\bno (?:le )?(?:digas|menciones|"
        r"reveles)\b[^.?!\n]{0,30}\bal usuario"
    ),
)
