"""Sentences in 20 languages with their English translations, three for each language."""

ENGLISH = (
    "The train to the airport leaves every twenty minutes.",
    "My daughter is learning to play the violin.",
    "The bank is closed on Sundays.",
)

# Language -> the translations of `ENGLISH`.
TRANSLATIONS: dict[str, tuple[str, str, str]] = {
    "de": (
        "Der Zug zum Flughafen fährt alle zwanzig Minuten.",
        "Meine Tochter lernt Geige spielen.",
        "Die Bank ist sonntags geschlossen.",
    ),
    "fr": (
        "Le train pour l'aéroport part toutes les vingt minutes.",
        "Ma fille apprend à jouer du violon.",
        "La banque est fermée le dimanche.",
    ),
    "es": (
        "El tren al aeropuerto sale cada veinte minutos.",
        "Mi hija está aprendiendo a tocar el violín.",
        "El banco está cerrado los domingos.",
    ),
    "it": (
        "Il treno per l'aeroporto parte ogni venti minuti.",
        "Mia figlia sta imparando a suonare il violino.",
        "La banca è chiusa la domenica.",
    ),
    "pt": (
        "O comboio para o aeroporto parte a cada vinte minutos.",
        "A minha filha está a aprender a tocar violino.",
        "O banco está fechado aos domingos.",
    ),
    "nl": (
        "De trein naar de luchthaven vertrekt elke twintig minuten.",
        "Mijn dochter leert viool spelen.",
        "De bank is op zondag gesloten.",
    ),
    "sv": (
        "Tåget till flygplatsen går var tjugonde minut.",
        "Min dotter lär sig spela fiol.",
        "Banken är stängd på söndagar.",
    ),
    "pl": (
        "Pociąg na lotnisko odjeżdża co dwadzieścia minut.",
        "Moja córka uczy się grać na skrzypcach.",
        "Bank jest zamknięty w niedziele.",
    ),
    "cs": (
        "Vlak na letiště odjíždí každých dvacet minut.",
        "Moje dcera se učí hrát na housle.",
        "Banka je v neděli zavřená.",
    ),
    "ru": (
        "Поезд в аэропорт отправляется каждые двадцать минут.",
        "Моя дочь учится играть на скрипке.",
        "Банк закрыт по воскресеньям.",
    ),
    "uk": (
        "Поїзд до аеропорту відправляється кожні двадцять хвилин.",
        "Моя донька вчиться грати на скрипці.",
        "Банк зачинений у неділю.",
    ),
    "el": (
        "Το τρένο για το αεροδρόμιο φεύγει κάθε είκοσι λεπτά.",
        "Η κόρη μου μαθαίνει να παίζει βιολί.",
        "Η τράπεζα είναι κλειστή τις Κυριακές.",
    ),
    "tr": (
        "Havaalanına giden tren her yirmi dakikada bir kalkıyor.",
        "Kızım keman çalmayı öğreniyor.",
        "Banka pazar günleri kapalıdır.",
    ),
    "ar": (
        "يغادر القطار إلى المطار كل عشرين دقيقة.",
        "ابنتي تتعلم العزف على الكمان.",
        "البنك مغلق يوم الأحد.",
    ),
    "he": (
        "הרכבת לשדה התעופה יוצאת כל עשרים דקות.",
        "הבת שלי לומדת לנגן בכינור.",
        "הבנק סגור בימי ראשון.",
    ),
    "hi": (
        "हवाई अड्डे के लिए ट्रेन हर बीस मिनट में चलती है।",
        "मेरी बेटी वायलिन बजाना सीख रही है।",
        "बैंक रविवार को बंद रहता है।",
    ),
    "zh": (
        "去机场的火车每二十分钟一班。",
        "我女儿正在学拉小提琴。",
        "银行星期天不营业。",
    ),
    "ja": (
        "空港行きの電車は二十分おきに出ます。",
        "私の娘はバイオリンを習っています。",
        "銀行は日曜日は休みです。",
    ),
    "ko": (
        "공항으로 가는 기차는 이십 분마다 출발합니다.",
        "제 딸은 바이올린을 배우고 있습니다.",
        "은행은 일요일에 문을 닫습니다.",
    ),
    "th": (
        "รถไฟไปสนามบินออกทุกยี่สิบนาที",
        "ลูกสาวของฉันกำลังเรียนไวโอลิน",
        "ธนาคารปิดทุกวันอาทิตย์",
    ),
}


def sentences() -> list[tuple[str, int, str]]:
    """Language, meaning and text of each sentence, the English ones first."""
    all_ = {"en": ENGLISH, **TRANSLATIONS}
    return [
        (language, meaning, text)
        for language, texts in all_.items()
        for meaning, text in enumerate(texts)
    ]
