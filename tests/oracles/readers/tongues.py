"""Sentences in the languages of the charsets, written for these tests."""

from __future__ import annotations

from tests.oracles.readers.prose import ENGLISH, KOREAN

SENTENCES = {
    "ko": "\n".join(KOREAN),
    "en": "\n".join(ENGLISH),
    "ja": """朝の霧が晴れると、港には二そうの漁船が入っていた。
祖母は庭の隅で赤い唐辛子を干していた。
図書館の裏の坂道は、春になると黄色い花でいっぱいになる。
終電を逃した二人は、駅前の食堂で始発を待つことにした。
新しいパン屋からは香ばしい匂いが路地まで流れてきた。
気象台は明日の午後から雨が降ると発表した。
研究者たちは三年かけて集めた標本を順番に比べてみた。
その橋は百年近くのあいだ、川の両側の村をつないできた。
会議が終わったあとも、何人かは席を立たずに話を続けた。
山の中腹にある小さな寺には、古い銀杏の木が一本立っている。""",
    "zh": """清晨的雾散去以后，港口停着两条渔船。
祖母在院子的角落里晒着红色的辣椒。
图书馆后面的山坡每到春天就开满黄色的花。
错过末班车的两个人决定在车站前的饭馆里等头班车。
新开的面包店把香味一直送到巷子的尽头。
气象台预报明天下午开始南部地区会下雨。
研究人员把三年来收集的标本依次进行了比较。
那座桥在将近一百年里连接着河两岸的村庄。
会议结束以后，还有几个人没有离开座位，继续谈论着。
半山腰的小寺庙里有一棵古老的银杏树。""",
    "tw": """清晨的霧散去以後，港口停著兩條漁船。
祖母在院子的角落裡曬著紅色的辣椒。
圖書館後面的山坡每到春天就開滿黃色的花。
錯過末班車的兩個人決定在車站前的飯館裡等頭班車。
新開的麵包店把香味一直送到巷子的盡頭。
氣象臺預報明天下午開始南部地區會下雨。
研究人員把三年來收集的標本依次進行了比較。
那座橋在將近一百年裡連接著河兩岸的村莊。
會議結束以後，還有幾個人沒有離開座位，繼續談論著。
半山腰的小寺廟裡有一棵古老的銀杏樹。""",
    "ru": """Утром туман рассеялся, и в гавани стояли две рыбацкие лодки.
Бабушка сушила красный перец в углу двора.
Склон за библиотекой каждую весну становится жёлтым от цветов.
Двое опоздали на последний поезд и ждали первого в столовой у вокзала.
Из новой булочной запах доходил до конца переулка.
Метеорологи обещают дождь на юге завтра после полудня.
Исследователи по очереди сравнили образцы, собранные за три года.
Этот мост почти сто лет соединял деревни на двух берегах реки.
После собрания несколько человек не ушли и продолжали разговор.
У маленького храма на склоне горы стоит старое дерево.""",
    "el": """Το πρωί η ομίχλη διαλύθηκε και στο λιμάνι ήταν δύο ψαρόβαρκες.
Η γιαγιά άπλωνε κόκκινες πιπεριές στη γωνιά της αυλής.
Η πλαγιά πίσω από τη βιβλιοθήκη γεμίζει κίτρινα λουλούδια κάθε άνοιξη.
Οι δύο φίλοι έχασαν το τελευταίο τρένο και περίμεναν το πρώτο.
Από τον καινούργιο φούρνο η μυρωδιά έφτανε ως την άκρη του δρόμου.
Οι μετεωρολόγοι προβλέπουν βροχή στα νότια από αύριο το απόγευμα.
Οι ερευνητές σύγκριναν με τη σειρά τα δείγματα τριών χρόνων.
Αυτή η γέφυρα ένωνε για εκατό χρόνια τα χωριά στις δύο όχθες.
Μετά τη συνεδρίαση μερικοί έμειναν και συνέχισαν τη συζήτηση.
Στο μικρό μοναστήρι υπάρχει ένα πολύ παλιό δέντρο.""",
    "de": """Am Morgen löste sich der Nebel auf, und im Hafen lagen zwei Fischerboote.
Die Großmutter trocknete rote Paprika in einer Ecke des Hofes.
Der Hang hinter der Bücherei wird jedes Frühjahr gelb von Blüten.
Die beiden verpaßten den letzten Zug und warteten in der Wirtschaft auf den ersten.
Aus der neuen Bäckerei zog der Duft bis ans Ende der Straße.
Für den Süden wird ab morgen Nachmittag kräftiger Regen erwartet.
Die Forscher verglichen nacheinander die über drei Jahre gesammelten Stücke.
Diese Brücke verband fast hundert Jahre lang die Dörfer an beiden Ufern.
Nach der Sitzung blieben einige sitzen und führten das Gespräch weiter.
Neben der kleinen Kapelle steht ein mächtiger alter Baum; sein Stamm mißt fünf Meter.""",
    "fr": """Le matin, la brume s’est levée et deux bateaux étaient entrés au port.
La grand-mère faisait sécher des piments rouges dans un coin de la cour.
Le coteau derrière la bibliothèque se couvre de fleurs jaunes à chaque printemps.
Les deux amis, ayant manqué le dernier train, attendirent le premier près de la gare.
De la nouvelle boulangerie, l’odeur arrivait jusqu’au bout de la ruelle.
La météo annonce de la pluie dans le sud dès demain après-midi.
Les chercheurs ont comparé un à un les échantillons recueillis pendant trois années.
Ce pont a relié pendant près d’un siècle les villages des deux rives.
Après la réunion, quelques-uns restèrent à leur place et continuèrent à parler.
Près de la petite chapelle se dresse un très vieux chêne à demi brûlé.""",
    "pl": """Rano mgła opadła, a w porcie stały dwie łodzie rybackie.
Babcia suszyła czerwoną paprykę w kącie podwórza.
Zbocze za biblioteką każdej wiosny robi się żółte od kwiatów.
Dwoje ludzi spóźniło się na ostatni pociąg i czekało na pierwszy w barze.
Z nowej piekarni zapach dochodził aż do końca uliczki.
Na południu już jutro po południu spodziewany jest duży deszcz.
Badacze porównali po kolei próbki zbierane przez trzy lata.
Ten most przez blisko sto lat łączył wsie na obu brzegach rzeki.
Po zebraniu kilka osób zostało na miejscach i ciągnęło rozmowę.
Obok małej świątyni na zboczu góry rośnie bardzo stare drzewo.""",
    "tr": """Sabah sis dağıldığında limana iki balıkçı teknesi girmişti.
Büyükannem avlunun bir köşesinde kırmızı biber kurutuyordu.
Kütüphanenin arkasındaki yokuş her ilkbaharda sarı çiçeklerle dolar.
Son treni kaçıran iki kişi istasyonun önündeki lokantada ilk treni bekledi.
Yeni açılan fırının kokusu sokağın sonuna kadar yayılıyordu.
Yarın öğleden sonra güney bölgelerinde yağmur bekleniyor.
Araştırmacılar üç yıl boyunca topladıkları örnekleri sırayla karşılaştırdı.
Bu köprü yüz yıla yakın bir süre ırmağın iki yakasındaki köyleri birleştirdi.
Toplantı bittikten sonra birkaç kişi yerinden kalkmadı, konuşmayı sürdürdü.
Dağın yamacındaki küçük tapınakta çok yaşlı bir çınar ağacı var.""",
    "th": """เช้าวันนี้หมอกจางลงแล้ว และมีเรือประมงสองลำจอดอยู่ที่ท่า
คุณยายตากพริกแดงไว้ที่มุมหนึ่งของลานบ้าน
เนินเขาหลังห้องสมุดเต็มไปด้วยดอกไม้สีเหลืองทุกฤดูใบไม้ผลิ
คนสองคนที่พลาดรถไฟเที่ยวสุดท้ายนั่งรอเที่ยวแรกที่ร้านอาหารหน้าสถานี
กลิ่นหอมจากร้านขนมปังที่เพิ่งเปิดใหม่ลอยไปถึงปลายซอย
กรมอุตุนิยมวิทยาคาดว่าภาคใต้จะมีฝนตกตั้งแต่บ่ายวันพรุ่งนี้
นักวิจัยเปรียบเทียบตัวอย่างที่เก็บมาตลอดสามปีทีละชิ้น
สะพานแห่งนี้เชื่อมหมู่บ้านสองฝั่งแม่น้ำมาเกือบหนึ่งร้อยปี
หลังจากประชุมเสร็จแล้ว ยังมีบางคนนั่งคุยกันต่อ
วัดเล็กๆ บนไหล่เขามีต้นไม้เก่าแก่ยืนอยู่ต้นหนึ่ง""",
    "he": """בבוקר התפזר הערפל, ובנמל עמדו שתי סירות דיג.
סבתא ייבשה פלפלים אדומים בפינת החצר.
המדרון שמאחורי הספרייה מתכסה בכל אביב בפרחים צהובים.
השניים שאיחרו לרכבת האחרונה חיכו לראשונה במסעדה שליד התחנה.
מהמאפייה החדשה הגיע הריח עד קצה הסמטה.
החזאים צופים גשם בדרום החל ממחר אחר הצהריים.
החוקרים השוו בזה אחר זה את הדגימות שנאספו במשך שלוש שנים.
הגשר הזה חיבר במשך כמעט מאה שנה את הכפרים משתי גדות הנהר.
לאחר הישיבה נשארו כמה אנשים במקומם והמשיכו לשוחח.
ליד המקדש הקטן שעל צלע ההר עומד עץ עתיק.""",
    "ar": """في الصباح انقشع الضباب وكان في الميناء قاربان للصيد.
كانت الجدة تجفف الفلفل الأحمر في زاوية الفناء.
يمتلئ المنحدر خلف المكتبة بالأزهار الصفراء في كل ربيع.
فات الاثنين القطار الأخير فانتظرا القطار الأول في مطعم قرب المحطة.
وصلت الرائحة من المخبز الجديد إلى آخر الزقاق.
تتوقع الأرصاد هطول المطر في الجنوب ابتداء من بعد ظهر الغد.
قارن الباحثون العينات التي جمعوها خلال ثلاث سنوات واحدة بعد أخرى.
ربط هذا الجسر القرى على ضفتي النهر نحو مئة عام.
بعد انتهاء الاجتماع بقي بعض الناس في أماكنهم وواصلوا الحديث.
بجانب المعبد الصغير على سفح الجبل شجرة قديمة جدا.""",
    "vi": """Buổi sáng sương mù tan đi, trong bến đã có hai chiếc thuyền đánh cá.
Bà ngoại phơi ớt đỏ ở một góc sân.
Sườn đồi phía sau thư viện cứ đến mùa xuân lại đầy hoa vàng.
Hai người lỡ chuyến tàu cuối ngồi đợi chuyến đầu ở quán ăn trước nhà ga.
Mùi thơm từ tiệm bánh mới mở bay tới tận cuối ngõ.
Đài khí tượng dự báo miền nam sẽ có mưa từ chiều mai.
Các nhà nghiên cứu lần lượt so sánh những mẫu đã thu thập trong ba năm.
Cây cầu ấy đã nối các làng ở hai bờ sông gần một trăm năm.
Họp xong, vài người vẫn ngồi lại và tiếp tục trò chuyện.
Ngôi chùa nhỏ ở lưng chừng núi có một cây cổ thụ.""",
}
"""Language → sentences, one per line."""
