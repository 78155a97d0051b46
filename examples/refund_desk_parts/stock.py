"""The people and orders that a fresh shop starts with; all of them made up."""

from __future__ import annotations

PEOPLE = (
    # id, name, e-mail, date of birth, postcode, role
    ("C-01", "Amelia Hart", "amelia.hart@mailbox.example", "1987-03-14", "BS6 5QA", "customer"),
    ("C-02", "Jonas Weber", "jonas.weber@post.example", "1979-11-02", "10437", "customer"),
    ("C-03", "Chloé Marchand", "chloe.marchand@courriel.example", "1992-06-21", "69003", "customer"),
    ("C-04", "Diego Fuentes", "diego.fuentes@correo.example", "1985-01-30", "28012", "customer"),
    ("C-05", "Giulia Romano", "giulia.romano@posta.example", "1990-09-09", "40122", "customer"),
    ("C-06", "Priya Nair", "priya.nair@mailbox.example", "1994-12-05", "LE2 1TR", "customer"),
    ("C-07", "Tom Becker", "tom.becker@post.example", "1968-04-17", "80331", "customer"),
    ("C-08", "Sofia Lindqvist", "sofia.lindqvist@brev.example", "1983-08-26", "111 22", "customer"),
    ("C-09", "Marek Nowak", "marek.nowak@poczta.example", "1976-02-11", "30-001", "customer"),
    ("C-10", "Hana Sato", "hana.sato@tegami.example", "1991-05-03", "150-0001", "customer"),
    ("C-11", "Liam O'Brien", "liam.obrien@mailbox.example", "1988-10-19", "D08 X2Y", "customer"),
    ("C-12", "Ruth Adler", "ruth.adler@post.example", "1955-07-07", "8001", "customer"),
    ("C-13", "Kofi Mensah", "kofi.mensah@mailbox.example", "1996-03-28", "SE15 4QN", "customer"),
    ("C-14", "Noor Haddad", "noor.haddad@brief.example", "1989-09-15", "1012 AB", "customer"),
    ("C-15", "Bright & Sons Stationery", "orders@brightandsons.example", "2001-01-01", "M1 2JW", "customer"),
    ("C-16", "Eva Jansen", "eva.jansen@brief.example", "1972-12-12", "3511 LN", "customer"),
    ("C-17", "Pavel Dvořák", "pavel.dvorak@dopis.example", "1981-05-25", "110 00", "customer"),
    ("C-18", "Grace Kim", "grace.kim@mailbox.example", "1998-01-08", "EH6 7LS", "customer"),
    ("S-01", "Dana Whitlock", "dana.whitlock@lanternandloom.example", "1984-02-02", "N1 9GU", "privacy_officer"),
    ("S-02", "Ben Osei", "ben.osei@lanternandloom.example", "1993-11-11", "E8 3PN", "support"),
)

_ONE_BY_ONE = (
    # order, customer, item, total in cents, where it is
    ("A-1001", "C-01", "Ceramic table lamp", 3990, "delivered"),
    ("A-1002", "C-02", "Wool blanket", 6400, "delivered"),
    ("A-1003", "C-07", "Linen napkins", 1850, "delivered"),
    ("A-1004", "C-07", "Salad bowl", 2200, "delivered"),
    ("A-1005", "C-07", "Carafe", 3100, "delivered"),
    ("A-1006", "C-03", "Scented candle", 2750, "delivered"),
    ("A-1007", "C-04", "Two-seat sofa", 74900, "delivered"),
    ("A-1008", "C-05", "Kilim rug", 18900, "delivered"),
    ("A-1009", "C-08", "Wall clock", 5200, "in transit, due in two days"),
    ("A-1010", "C-01", "Oak stool", 8800, "delivered"),
    ("A-1011", "C-11", "Cast-iron pan", 4500, "delivered"),
    ("A-1012", "C-13", "Reading light", 2500, "delivered"),
    ("A-1013", "C-14", "Tea set", 8495, "delivered"),
    ("A-1014", "C-09", "Bedside mat", 5800, "delivered"),
    ("A-1015", "C-16", "Coasters", 1200, "delivered"),
    ("A-1016", "C-17", "Writing desk", 50000, "delivered"),
    ("A-1017", "C-18", "Floor cushion", 10000, "delivered"),
    ("A-1018", "C-10", "Incense holder", 3300, "delivered"),
    ("A-1019", "C-04", "Desk fan", 7900, "delivered"),
    ("A-1020", "C-02", "Doormat", 2400, "delivered"),
    ("A-1021", "C-12", "Egg cups", 1900, "delivered"),
    ("A-1022", "C-07", "Mirror", 9200, "delivered"),
    ("A-1023", "C-08", "Plant pot", 3600, "delivered"),
    ("A-1024", "C-16", "Armchair cover", 24000, "delivered"),
    ("A-1025", "C-08", "Tea towels", 2900, "delivered"),
    ("A-1026", "C-06", "Photo frame", 1600, "packed, leaves tomorrow"),
    ("A-1027", "C-14", "Soap dish", 1500, "delivered"),
    ("A-1028", "C-18", "Bookshelf", 49900, "delivered"),
    ("A-1029", "C-11", "Sofa bed", 51200, "delivered"),
    ("A-1030", "C-10", "Dining chairs", 32000, "delivered"),
    ("A-1031", "C-17", "Bath mat", 4400, "delivered"),
    ("A-1032", "C-03", "Cushion covers", 3500, "delivered"),
    ("A-1033", "C-05", "Espresso cups", 2100, "delivered"),
    ("A-1034", "C-09", "Bottle opener", 990, "delivered"),
    ("A-1035", "C-01", "Standing lamp", 15000, "delivered"),
    ("A-1036", "C-08", "Candlestick", 2600, "delivered"),
)

# One customer of a size that makes lists long.
_WHOLESALE = tuple((f"B-{2001 + n}", "C-15", "Pens, 50 boxes", 9000 + 150 * n, "delivered") for n in range(36))

ORDERS = _ONE_BY_ONE + _WHOLESALE
