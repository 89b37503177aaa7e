"""The texts of the golden vectors: what people write, and what breaks tokenizers."""

QUERY = "How many people live in London?"
CANDIDATES = (
    "Around 9 Million people live in London",
    "London is known for its financial district",
)

ENGLISH = (
    "The cat sat on the mat.",
    "A man is playing a guitar on the street.",
    "Someone plays an instrument outdoors.",
    "How do I reset my password?",
    "What is the capital of France?",
    "Paris is the capital and largest city of France.",
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "Where can I find the nearest pharmacy that is open on a Sunday evening?",
    "The quick brown fox jumps over the lazy dog.",
    "the quick brown fox jumps over the lazy dog",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG",
    "I can't believe it's not butter; they'd've told us, wouldn't they?",
    "Machine learning is a field of study that gives computers the ability to learn without being "
    "explicitly programmed.",
    "The contract may be terminated by either party with thirty days' written notice, provided "
    "that all outstanding invoices have been settled in full.",
    "Buffalo buffalo Buffalo buffalo buffalo buffalo Buffalo buffalo.",
    "not good",
    "good",
)

SHORT = (
    "a",
    "Z",
    "7",
    "?",
    ".",
    "é",
    "ß",
    "中",
    "あ",
    "\u0001",
    "\u200b",
    "\u0301",
    "\ufeff",
    "\ufffd",
    "\u00ad",
    "[UNK]",
    "[CLS] text that names special tokens [SEP] [MASK] [PAD]",
    "##ing",
)

PUNCTUATION = (
    "...",
    "!!!???!!!",
    "--- *** --- *** ---",
    "(((([[[[{{{{}}}}]]]]))))",
    "“Curly quotes” – en dash — em dash … ellipsis",
    "a,b;c:d.e!f?g/h\\i|j",
    "¿Qué? ¡No! «Sí» ‹no› „ja“ ‚nein‘",
    "$100 €200 £300 ¥400 ₹500 ₿0.1",
    "§ 12 Abs. 3 † ‡ ¶ © ® ™ ° ± × ÷ ≠ ≤ ≥ ∞ ∑ ∫ √",
    "~`@#$%^&*_+=<>",
)

DIGITS = (
    "0",
    "1234567890",
    "3.14159265358979323846264338327950288419716939937510",
    "1,000,000.00",
    "2024-02-29T23:59:60Z",
    "+49 (0)30 901820",
    "192.168.0.1 and 2001:0db8:85a3::8a2e:0370:7334",
    "٠١٢٣٤٥٦٧٨٩ ०१२३४५६७८९ 〇一二三四五",
    "Ⅷ ½ ² ³ ⁷ ₂ ①",
    "0xDEADBEEF 1e-12 -0.0 NaN",
)

ADDRESSES = (
    "https://example.com/",
    "https://user:secret@example.com:8443/a/b/c.html?q=hello+world&lang=en#section-2",
    "Write to first.last+tag@mail.example.org or visit www.example.org.",
    r"C:\Program Files\Example\app.exe /quiet",
    "/usr/local/lib/python3.11/site-packages/__init__.py",
    "s3://bucket/prefix/key%20with%20spaces.json",
)

CODE = (
    'fn main() { println!("Hello, {}!", std::env::args().nth(1).unwrap()); }',
    "def cosine(a, b):\n    return (a @ b) / (np.linalg.norm(a) * np.linalg.norm(b))\n",
    "SELECT name, COUNT(*) FROM users WHERE created_at > '2024-01-01' GROUP BY name HAVING "
    "COUNT(*) > 1;",
    "for (int i = 0; i < n; ++i) { sum += x[i] * y[i]; } // dot product",
    '{"query": "How many?", "texts": ["one", "two"], "top_k": 3, "truncate": false}',
    "<div class=\"card\"><a href='#'>Link</a>&nbsp;&amp;</div>",
    "snake_case camelCase PascalCase kebab-case SCREAMING_SNAKE_CASE",
    "^(?:[a-z0-9]+(?:-[a-z0-9]+)*)$",
)

LANGUAGES = (
    "Wie viele Menschen leben in Berlin?",
    "Die Donaudampfschifffahrtsgesellschaft übernahm größere Aufträge für Straßenbau.",
    "ÄÖÜ äöü ß ẞ",
    "Combien de personnes vivent à Paris ?",
    "L'été dernier, nous avons mangé des crêpes à la crème brûlée près de l'hôtel.",
    "Où est la bibliothèque ? Ça va, garçon ?",
    "¿Cuántas personas viven en Madrid?",
    "Ile osób mieszka w Łodzi? Zażółć gęślą jaźń.",
    "İstanbul'da kaç kişi yaşıyor? ığüşöç",
    "Сколько людей живёт в Москве?",
    "Πόσοι άνθρωποι ζουν στην Αθήνα;",
    "伦敦有多少人口？",
    "伦敦大约有九百万人居住，是英国的金融中心。",
    "東京には何人が住んでいますか？",
    "カタカナとひらがなと漢字が混ざった文章です。",
    "ｆｕｌｌｗｉｄｔｈ　ｔｅｘｔ　ﾊﾝｶｸ",
    "서울에는 몇 명이 살고 있습니까?",
    "كم عدد سكان لندن؟",
    "العَرَبِيَّةُ لُغَةٌ جَمِيلَةٌ",
    "लंदन में कितने लोग रहते हैं?",
    "मुझे हिन्दी में पढ़ना अच्छा लगता है।",
    "כמה אנשים גרים בתל אביב?",
    "มีคนอาศัยอยู่ในกรุงเทพฯ กี่คน",
    "Có bao nhiêu người sống ở Hà Nội?",
    "London means لندن and 伦敦 and Лондон in other scripts",
)

EMOJI = (
    "😀",
    "I love pizza 🍕 and sushi 🍣!!! 😍😍😍",
    "👩‍👩‍👧‍👦 family, 👍🏽 thumbs up, 🇬🇧 flag",
    "❤️ ☀️ ☔ ✂ ✈",
    "𝕸𝖆𝖙𝖍𝖊𝖒𝖆𝖙𝖎𝖈𝖆𝖑 𝓼𝓬𝓻𝓲𝓹𝓽 𝟙𝟚𝟛",
    "𠜎𠜱𠝹𠱓 rare ideographs",
)

MARKS = (
    "cafe\u0301 and caf\u00e9",
    "Z\u0351\u036b\u0343a\u0363\u0368l\u0348\u0353g\u0347\u032fo\u0322\u0328 text",
    "a\u0300\u0301\u0302\u0303\u0304 e\u0323\u0307 n\u0303",
    "ﬁle oﬃce Ǆ ǆ ſtrange",
    "\u1100\u1161\u11a8 \uac01",
)

CONTROLS = (
    "tab\tseparated\tvalues",
    "line one\nline two\r\nline three\u2028line four\u2029line five",
    "bell\u0007 escape\u001b[31mred\u001b[0m delete\u007f",
    "zero\u200bwidth\u200cjoin\u200der\u2060word\ufeffmark",
    "no\u00a0break\u202fspaces\u3000and\u2003wide\u1680ones",
    "left\u202aembedded\u202c right\u202bembedded\u202c \u2066isolated\u2069",
    "\u0001\u0002\u0003\u0004\u0005",
    "next\u0085line \u000bvertical \u000cform",
    "replacement \ufffd noncharacter \ufdd0 private \ue000 last \U0010fffd",
    "   leading and trailing spaces   ",
)

LONG_WORDS = (
    "a" * 100,
    "a" * 101,
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "supercalifragilisticexpialidocious" * 3,
    "Lopadotemachoselachogaleokranioleipsanodrimhypotrimmatosilphiokarabomelitokatakechymeno",
    "x" * 5000,
    "ab" * 49 + " " + "cd" * 51,
    "中" * 300,
    "-" * 300,
    "word" + "\u0301" * 200,
)

# Every word is one token of an uncased English vocabulary.
_WORDS = (
    "the river runs through the old town and under five stone bridges before it reaches the sea "
    "where small boats wait for the wind while people on the shore talk about the price of fish "
    "and the long winter that is now behind them "
)

# Tokens with [CLS] and [SEP]: below, at and above the lengths at which something is cut.
LENGTHS_TOKENS = (3, 100, 127, 128, 129, 255, 256, 257, 258, 511, 512, 513, 600)


def of_length(tokens: int) -> str:
    """A text of plain words that is `tokens` long, [CLS] and [SEP] counted."""
    words = _WORDS.split()
    return " ".join(words[i % len(words)] for i in range(tokens - 2))


def golden_texts() -> list[str]:
    """Every text, each once, in a fixed order; the seed's example first."""
    texts = [
        QUERY,
        *CANDIDATES,
        *ENGLISH,
        *SHORT,
        *PUNCTUATION,
        *DIGITS,
        *ADDRESSES,
        *CODE,
        *LANGUAGES,
        *EMOJI,
        *MARKS,
        *CONTROLS,
        *LONG_WORDS,
        *(of_length(tokens) for tokens in LENGTHS_TOKENS),
    ]
    return list(dict.fromkeys(texts))
