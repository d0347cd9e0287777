"""Prose in many languages, written for these tests, and the charsets that each is written in."""

from __future__ import annotations

TEXTS = {
    "ko": "버퍼가 가득 차면 쓰기는 잠시 기다립니다. 읽는 쪽이 한 칸을 비우면 그때 다시 이어집니다. 도서관 뒤편 언덕길은 봄마다 노랗게 물들고, 할머니는 마루 끝에 앉아 감자를 깎으셨다. 설정 파일을 바꾼 다음에는 서비스를 다시 시작해야 합니다.",
    "ja": "これは日本語で書かれた文章です。今日は天気がいいので、川のそばを散歩しました。設定ファイルを変更したら、サービスを再起動してください。図書館の裏の坂道は、春になると黄色い花でいっぱいになります。コンピュータのメモリが足りない場合があります。",
    "zh_hans": "这是一篇用中文写的文章。今天天气很好，我们沿着河边散步。修改配置文件以后，请重新启动服务。图书馆后面的山坡每年春天都开满黄色的花。人人生而自由，在尊严和权利上一律平等。如果内存不够，程序会等待。",
    "zh_hant": "這是一篇用中文寫的文章。今天天氣很好，我們沿著河邊散步。修改設定檔以後，請重新啟動服務。圖書館後面的山坡每年春天都開滿黃色的花。人人生而自由，在尊嚴和權利上一律平等。如果記憶體不夠，程式會等待。",
    "ru": "Это обычный русский текст о погоде и о природе. Сегодня хорошая погода, и мы гуляли вдоль реки. После изменения файла настроек нужно перезапустить службу. Склон за библиотекой каждую весну становится жёлтым от цветов.",
    "uk": "Це звичайний український текст про погоду та природу. Сьогодні гарна погода, і ми гуляли вздовж річки. Після зміни файлу налаштувань потрібно перезапустити службу. Схил за бібліотекою щовесни жовтіє від квітів, їх дуже багато.",
    "bg": "Това е обикновен български текст за времето и природата. Днес времето е хубаво и се разхождахме край реката. След промяна на файла с настройките услугата трябва да се стартира отново. Склонът зад библиотеката всяка пролет пожълтява.",
    "el": "Αυτό είναι ένα απλό ελληνικό κείμενο για τον καιρό και τη φύση. Σήμερα ο καιρός είναι καλός και περπατήσαμε δίπλα στο ποτάμι. Μετά την αλλαγή του αρχείου ρυθμίσεων πρέπει να γίνει επανεκκίνηση της υπηρεσίας.",
    "he": "זהו טקסט פשוט בעברית על מזג האוויר ועל הטבע. היום מזג האוויר נאה וטיילנו לאורך הנהר. אחרי שינוי קובץ ההגדרות צריך להפעיל את השירות מחדש. המדרון מאחורי הספרייה מצהיב בכל אביב מרוב פרחים.",
    "ar": "هذا نص بسيط باللغة العربية عن الطقس والطبيعة. الطقس جميل اليوم وقد تنزهنا على ضفة النهر. بعد تغيير ملف الإعدادات يجب إعادة تشغيل الخدمة. يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "th": "นี่คือข้อความภาษาไทยธรรมดาเกี่ยวกับอากาศและธรรมชาติ วันนี้อากาศดีเราจึงเดินเล่นริมแม่น้ำ หลังจากแก้ไขไฟล์ตั้งค่าแล้วต้องเริ่มบริการใหม่อีกครั้ง เนินเขาหลังห้องสมุดเต็มไปด้วยดอกไม้สีเหลืองทุกปี",
    "vi": "Đây là một đoạn văn tiếng Việt bình thường về thời tiết và thiên nhiên. Hôm nay trời đẹp nên chúng tôi đi dạo dọc bờ sông. Sau khi sửa tệp cấu hình, bạn phải khởi động lại dịch vụ. Ngọn đồi sau thư viện mỗi mùa xuân đầy hoa vàng.",
    "pl": "To jest zwykły polski tekst o pogodzie i przyrodzie. Dziś jest ładna pogoda, więc spacerowaliśmy wzdłuż rzeki. Po zmianie pliku ustawień trzeba ponownie uruchomić usługę. Zbocze za biblioteką każdej wiosny żółknie od kwiatów, a źdźbła trawy są mokre.",
    "cs": "Toto je obyčejný český text o počasí a přírodě. Dnes je hezké počasí, a tak jsme se procházeli podél řeky. Po změně souboru nastavení je třeba službu znovu spustit. Svah za knihovnou každé jaro zežloutne květinami, příliš žluťoučký kůň.",
    "hu": "Ez egy egyszerű magyar szöveg az időjárásról és a természetről. Ma szép idő van, ezért a folyó mentén sétáltunk. A beállítófájl módosítása után újra kell indítani a szolgáltatást. A könyvtár mögötti domboldal minden tavasszal sárgára színeződik, és őszig gyönyörű.",
    "ro": "Acesta este un text obișnuit în limba română despre vreme și natură. Astăzi este vreme frumoasă și ne-am plimbat de-a lungul râului. După schimbarea fișierului de setări, serviciul trebuie pornit din nou. Toate ființele umane se nasc libere și egale.",
    "hr": "Ovo je običan hrvatski tekst o vremenu i prirodi. Danas je lijepo vrijeme pa smo šetali uz rijeku. Nakon promjene datoteke s postavkama uslugu treba ponovno pokrenuti. Padina iza knjižnice svakog proljeća požuti od cvijeća, što djeca osobito vole, također i mačke.",
    "tr": "Bu, hava ve doğa hakkında sıradan bir Türkçe metindir. Bugün hava güzel olduğu için nehir kıyısında yürüyüş yaptık. Ayar dosyası değiştirildikten sonra hizmetin yeniden başlatılması gerekir. Kütüphanenin arkasındaki yamaç her bahar sararır. İstanbul çok kalabalıktı.",
    "lt": "Tai paprastas lietuviškas tekstas apie orą ir gamtą. Šiandien gražus oras, todėl vaikščiojome palei upę. Pakeitus nustatymų failą, paslaugą reikia paleisti iš naujo. Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis, žąsys skrido į pietus.",
    "lv": "Šis ir parasts latviešu teksts par laikapstākļiem un dabu. Šodien ir jauks laiks, tāpēc mēs pastaigājāmies gar upi. Pēc iestatījumu faila maiņas pakalpojums jāpalaiž no jauna. Nogāze aiz bibliotēkas katru pavasari kļūst dzeltena no ziediem, ķirši zied.",
    "fr": "Voici un texte français ordinaire sur le temps et la nature. Aujourd’hui il fait beau et nous avons marché le long de la rivière. Après la modification du fichier de réglages, il faut redémarrer le service. L’été dernier, où étiez-vous ? À Nîmes, naïve idée, ça coûtait 20 €.",
    "de": "Dies ist ein gewöhnlicher deutscher Text über das Wetter und die Natur. Heute ist schönes Wetter, und wir gingen am Fluss spazieren. Nach der Änderung der Einstellungen muss man den Dienst neu starten. Größe und Maß prüfen; die Bücherei schließt früh, „natürlich“ täglich.",
    "es": "Este es un texto español corriente sobre el tiempo y la naturaleza. Hoy hace buen día y paseamos junto al río. Después de cambiar el archivo de configuración hay que reiniciar el servicio. ¿Cuándo volverán los niños de la montaña? Mañana, según dijo el señor Muñoz.",
    "pt": "Este é um texto português comum sobre o tempo e a natureza. Hoje está um dia bonito e caminhámos ao longo do rio. Depois da alteração do ficheiro de configuração é preciso reiniciar o serviço. São Paulo não dorme; a ação começou de manhã, às três.",
    "sv": "Det här är en vanlig svensk text om vädret och naturen. I dag är det vackert väder och vi gick längs ån. Efter att inställningsfilen har ändrats måste tjänsten startas om. Backen bakom biblioteket blir gul av blommor varje vår, och då är det skönt.",
    "en": "This is an ordinary English text about the weather; it’s warm, about 25 °C, and the café is “open”. The ticket costs £20 – or so they say – and the naïve visitor pays it. © Acme Ltd. The résumé of Dr. Müller lists 3½ years at the firm… see § 4.",
}  # fmt: skip
"""Language to a paragraph."""

CHARSETS = {
    "utf-8": "ko", "cp949": "ko", "johab": "ko", "iso2022_kr": "ko", "utf-16": "ko", "utf-16-le": "ko",
    "cp932": "ja", "euc_jp": "ja", "iso2022_jp": "ja", "gb18030": "zh_hans", "hz": "zh_hans",
    "big5hkscs": "zh_hant", "koi8-r": "ru", "cp1251": "bg", "iso8859-5": "ru", "cp866": "ru",
    "mac-cyrillic": "ru", "koi8-u": "uk", "cp1253": "el", "iso8859-7": "el", "cp1255": "he", "cp1256": "ar",
    "cp874": "th", "cp1258": "vi", "cp1250": "cs", "iso8859-2": "hu", "cp1254": "tr", "cp1257": "lt",
    "iso8859-13": "lv", "cp1252": "fr", "mac-roman": "de", "iso8859-15": "fr",
}  # fmt: skip
"""Python's codec to a language of TEXTS that it can write."""
MORE = [
    ("cp1251", "ru"), ("cp1251", "uk"), ("koi8-r", "bg"), ("cp866", "bg"), ("cp1250", "pl"),
    ("cp1250", "hu"), ("cp1250", "ro"), ("cp1250", "hr"), ("iso8859-2", "pl"), ("iso8859-2", "cs"),
    ("iso8859-2", "hr"), ("iso8859-2", "ro"), ("cp1252", "de"), ("cp1252", "es"), ("cp1252", "pt"),
    ("cp1252", "sv"), ("cp1252", "en"), ("cp1257", "lv"), ("iso8859-8", "he"), ("iso8859-6", "ar"),
    ("gb18030", "zh_hant"),
]  # fmt: skip
"""Further pairs of codec and language."""


def written(lang: str, codec: str) -> bytes:
    """Return the text of a language in a charset; Vietnamese and Romanian as their charsets can."""
    text = TEXTS[lang]
    if codec == "cp1258":
        return b"".join(_tones(char) for char in text)
    if lang == "ro":
        text = text.translate(str.maketrans("șțȘȚ", "şţŞŢ"))
    return text.encode(codec, "ignore")


def _tones(char: str) -> bytes:
    import unicodedata

    try:
        return char.encode("cp1258")
    except UnicodeEncodeError:
        parts = unicodedata.normalize("NFD", char)
        tone = "".join(part for part in parts if part in "\u0300\u0301\u0303\u0309\u0323")
        letter = unicodedata.normalize("NFC", "".join(part for part in parts if part not in tone))
        return (letter + tone).encode("cp1258")
