"""Fields as public data sets have them, with the protected attribute that their values are of: for measuring how many are recognised.

Written down before the recogniser was tuned. Fields at even positions of each list served for tuning, the others for the score.
"""

from __future__ import annotations

# name of the field | attribute | values, the commonest first
_PROTECTED = """
sex|gender|Male;Female
v7|gender|1 Male;2 Female
riagendr_label|gender|1: Male;2: Female
q2|gender|MALE;FEMALE;NA
x3|gender|M;F
code|gender|M.;F.
g1|gender|Männlich;Weiblich;Divers
geschl|gender|m;w
item4|gender|homme;femme
question_1|gender|Un homme;Une femme
f12|gender|Hombre;Mujer
c5|gender|мужской;женский
pol|gender|М;Ж
s1|gender|男;女
s2|gender|男性;女性
s3|gender|남성;여성
k4|gender|ذكر;أنثى
k5|gender|זכר;נקבה
k6|gender|άνδρας;γυναίκα
k7|gender|पुरुष;महिला
k8|gender|Kadın;Erkek
k9|gender|Kvinna;Man
l1|gender|mies;nainen
l2|gender|muž;žena
l3|gender|férfi;nő
l4|gender|Kobieta;Mężczyzna
l5|gender|Maschio;Femmina
l6|gender|Masculino;Feminino;Não informado
kjoenn|gender|K;M
title|gender|Mr;Miss;Mrs;Master;Dr;Rev
adressat|gender|Herr;Frau
salut|gender|Monsieur;Madame;Mademoiselle
gender_text|gender|Woman;Man;Non-binary;Prefer to self-describe
person2|gender|male;female;child
sexo_label|gender|H;M
resp|gender|Cisgender man;Cisgender woman;Transgender
marital.status|family|Married-civ-spouse;Never-married;Divorced;Separated;Widowed;Married-spouse-absent;Married-AF-spouse
relationship|family|Husband;Not-in-family;Own-child;Unmarried;Wife;Other-relative
status2|family|married;single;divorced
personal_status|family|male : single;female : divorced/separated/married;male : divorced/separated;male : married/widowed
dmdmartl|family|Married;Never married;Living with partner;Divorced;Widowed;Separated;Refused
gss1|family|NEVER MARRIED;MARRIED;DIVORCED;WIDOWED;SEPARATED
issp1|family|Married;Civil partnership;Separated from spouse/ civil partner;Divorced from spouse;Widowed/ civil partner died;Never married
ess1|family|Legally married;In a legally registered civil union;Legally separated;Legally divorced;Widowed;None of these (NEVER married)
allb|family|VERHEIRATET, ZUSAMMENLEBEND;VERHEIRATET, GETRENNT LEBEND;VERWITWET;GESCHIEDEN;LEDIG
etat|family|Célibataire;Marié(e);Divorcé(e);Veuf/veuve;Pacsé(e)
estciv|family|Casado/a;Soltero/a;Viudo/a;Divorciado/a
ru1|family|женат/замужем;холост/не замужем;разведен;вдовец/вдова
zh1|family|已婚;未婚;离异;丧偶
ja1|family|既婚;未婚
ko1|family|기혼;미혼;이혼
se1|family|Gift;Ogift;Skild;Änka/änkling
pl1|family|żonaty;kawaler;rozwiedziony;wdowiec
nl1|family|gehuwd;ongehuwd;gescheiden;verweduwd
kids_cond|family|Pregnant;Not pregnant;Cannot ascertain
relig|religion|PROTESTANT;CATHOLIC;NONE;JEWISH;OTHER;BUDDHISM;HINDUISM;MOSLEM/ISLAM;ORTHODOX-CHRISTIAN;CHRISTIAN;INTER-NONDENOMINATIONAL
x21|religion|Buddhism;Islam;Christianity;Hinduism
den|religion|Roman Catholic;Protestant;Eastern Orthodox;Jewish;Islamic;Eastern religions
konf|religion|römisch-katholisch;evangelisch;konfessionslos;muslimisch
bel|religion|Katholiek;Protestant;Moslim;Geen religie
rf|religion|Catholique;Musulman;Juif;Sans religion
ru2|religion|Православие;Ислам;Буддизм
in2|religion|Hindu;Muslim;Sikh;Christian;Jain
church|religion|Church of England;Roman Catholic;Methodist;Baptist;No religion
race|ethnic origin|White;Black;Asian-Pac-Islander;Amer-Indian-Eskimo;Other
ridreth1|ethnic origin|Mexican American;Other Hispanic;Non-Hispanic White;Non-Hispanic Black;Other Race - Including Multi-Racial
hmda|ethnic origin|White;Black or African American;Asian;American Indian or Alaska Native;Native Hawaiian or Other Pacific Islander;Race not available
compas|ethnic origin|African-American;Caucasian;Hispanic;Other;Asian;Native American
wages1|ethnic origin|cauc;hispanic;other
wages2|ethnic origin|other;black;hispanic
uk1|ethnic origin|White British;Pakistani;Black Caribbean;Bangladeshi;Black African;Indian;Mixed
hsb|ethnic origin|white;hispanic;african american;asian
lawsch|ethnic origin|White;Black;Hisp;Asian;Other
br1|ethnic origin|Branca;Parda;Preta;Amarela;Indígena
za1|ethnic origin|Black African;Coloured;Indian/Asian;White
afam|ethnic origin|Non-Hispanic;Hispanic
orient|sexual orientation|Straight;Gay;Bi
ori2|sexual orientation|Heterosexual (straight);Gay or lesbian;Bisexual;Other
sx3|sexual orientation|heterosexuell;homosexuell;bisexuell
partyid|opinion|STRONG DEMOCRAT;NOT STR DEMOCRAT;IND,NEAR DEM;INDEPENDENT;IND,NEAR REP;NOT STR REPUBLICAN;STRONG REPUBLICAN;OTHER PARTY
polv|opinion|EXTREMELY LIBERAL;LIBERAL;SLIGHTLY LIBERAL;MODERATE;SLGHTLY CONSERVATIVE;CONSERVATIVE;EXTRMLY CONSERVATIVE
de2|opinion|CDU/CSU;SPD;GRÜNE;FDP;DIE LINKE;AfD
uk2|opinion|Labour;Conservative;Liberal Democrat;SNP;Green;UKIP
member|opinion|union;non-union
psid_u|opinion|Union member;Not a union member
cps_u|opinion|Not Covered;Member of labor union;Covered by union but not a member
es2|opinion|PSOE;PP;VOX;Podemos;Ciudadanos
dis1|disability|Disabled;Not disabled
dis2|disability|With a disability;No disability
dis3|disability|schwerbehindert;nicht behindert
dis4|disability|Blind;Deaf;No impairment
nat1|national origin|US citizen;Non-citizen
nat2|national origin|Native, Born in the US;Foreign born, US citizen by naturalization;Foreign born, not a US citizen
nat3|national origin|Native-born;Foreign-born
nat4|national origin|Deutsch;Ausländer
""".strip().splitlines()

_HARMLESS = """
phone_type||H;M
line||M;W
level||M;K
contact||home;mobile;work
origin||domestic;foreign
car||foreign;domestic;USA
app||native;web;hybrid
seller||local;foreign
room||single;double;suite
bed||Single;Double;Queen;King
ticket||single;return;season
plan||single;family;couple
waste||mixed;separated;combined
risk||conservative;moderate;aggressive
estimate||conservative;liberal
degree||liberal arts;science;engineering
colour||black;white;red;blue
tea||black;green;white
player||white;black
coat||white;black;grey;brown
wine||red;white
hair||straight;curly;wavy
road||straight;curved
hair_colour||blond;brown;black;red
education||Bachelors;HS-grad;11th;Masters;9th;Some-college;Assoc-acdm;Doctorate;Prof-school
degree2||Bachelor;Master;PhD
degree3||high school;associate;bachelor;graduate
workclass||Private;Self-emp-not-inc;Federal-gov;Local-gov;State-gov;Self-emp-inc;Without-pay;Never-worked
occupation||Tech-support;Craft-repair;Other-service;Sales;Exec-managerial;Priv-house-serv;Armed-Forces;Handlers-cleaners
job||admin.;blue-collar;technician;services;management;retired;entrepreneur;self-employed;housemaid;unemployed;student
poutcome||failure;success;other;nonexistent
embarked||S;C;Q
pclass||1st;2nd;3rd;crew
housing||own;rent;for free
purpose||radio/TV;new car;furniture/equipment;used car;business;education;repairs
checking||<0 DM;0<=X<200 DM;no checking;>=200 DM
savings||<100;unknown;500<=X<1000;>=1000
employment||unemployed;<1;1<=X<4;4<=X<7;>=7
telephone||none;yes
shop||independent;chain;franchise
school||public;private;independent
cinema||independent;mainstream
store_dept||Men;Women;Kids;Home
size||S;M;L;XL
day||M;T;W;F
weekday||Mon;Tue;Wed;Thu;Fri
unit||F;C
unit2||K;M;B
answer||Y;N
answers||yes;no;don't know
health||Excellent;Very good;Good;Fair;Poor
smoker||never;former;current
smoke||smoker;non-smoker
agree||Strongly agree;Agree;Neither;Disagree;Strongly disagree
region||south;north;west;east
region2||Midwest;South;West;Northeast
country||Germany;France;Poland;Italy
lang||English;Spanish;French;German
cuisine||Mexican;Italian;Chinese;Indian;Thai
food||Asian;Italian;Greek
music||rock;pop;christian;latin;jazz
bank||credit union;bank;online bank
institution||credit union;commercial bank;savings bank
window||curtain;blind;shutter
test||blind;open;double-blind
watch||Citizen;Casio;Seiko
tier||citizen;gold;platinum
party||venue;caterer;host
partner||partner;customer;supplier
contract||full-time;part-time;temporary
urban||urban;rural;suburban
income||<=50K;>50K
wrkstat||WORKING FULLTIME;KEEPING HOUSE;RETIRED;SCHOOL;WORKING PARTTIME;UNEMPL, LAID OFF
trend||up;down;flat
os||iOS;Android;Windows
ampm||AM;PM
tone||major;minor
payment||card;cash;transfer
tv||colour;black and white;none
meal||vegetarian;halal;kosher;none
blood||A;B;AB;O
vote_result||for;against;abstain
sector||labour intensive;capital intensive
grade||a;b;c;d;f
furnace||gas;electric;oil
answered||No;Children
asked||Yes;No;master
who||no;other;child
throw||miss;other
vessel||ms;other
event||race;other
tag||div;other
voucher||single;gift
order_kind||gift;partner
key_of||major;child
cover||covered;labour
roof||green;covered
exercise||green;moderate
shade||moderate;covered
kitchen||chinese;mixed;indian
generation||h;m
konto||k;n
""".strip().splitlines()


# Written down before the vocabulary grew to article 9 of the GDPR and article 21 of the Charter, and before it was looked at.
_LATER_PROTECTED = """
f1|gender|male;female
f2|gender|M;F;X
f3|gender|Mann;Frau;divers
f4|gender|homme;femme
f5|gender|hombre;mujer;Prefiero no decir
f6|gender|男;女
f7|gender|♂;♀
f8|gender|♂;♀;⚧
f9|gender|Kobieta;Mężczyzna
f10|gender|kvinna;man;annat
f11|gender|erkek;kadın
f12|gender|мужской;женский
f13|gender|maschio;femmina
f14|gender|masculino;feminino;prefiro não dizer
f15|gender|vrouw;man;onbekend
f16|gender|Mr;Mrs;Ms;Dr
f17|gender|Herr;Frau
f18|gender|cis woman;cis man;trans woman;trans man;non-binary
f19|gender|she/her;he/him;they/them
f20|sexual orientation|heterosexual;gay;lesbian;bisexual
f21|sexual orientation|straight;gay;bi;other
f22|sexual orientation|heterosexuell;homosexuell;bisexuell;keine Angabe
f23|sexual orientation|hétérosexuel;homosexuel;bisexuel
f24|sexual orientation|heterosexual;homosexual;bisexual;prefiero no decir
f25|sexual orientation|LGBTQ+;not LGBTQ+
f26|sexual orientation|asexual;pansexual;queer;straight
f27|health|HIV positive;HIV negative
f28|health|HIV+;HIV-;unknown
f29|health|VIH positivo;VIH negativo
f30|health|seropositive;seronegative
f31|health|diabetes;asthma;cancer;none
f32|health|Diabetes;Asthma;Krebs;keine
f33|health|depression;anxiety;bipolar;none
f34|family|pregnant;not pregnant
f35|family|schwanger;nicht schwanger
f36|family|enceinte;non enceinte
f37|family|embarazada;no embarazada
f38|disability|disabled person;non-disabled person
f39|disability|schwerbehindert;nicht behindert
f40|disability|handicapé;non handicapé
f41|disability|wheelchair user;blind;deaf;none
f42|religion|Christian;Muslim;Jewish;Hindu;none
f43|religion|Shia;Sunni
f44|religion|Sunni;Shi'a;Ismaili
f45|religion|römisch-katholisch;evangelisch;konfessionslos
f46|religion|catholique;protestant;musulman;athée
f47|religion|católico;evangélico;ateo
f48|religion|Buddhist;Shinto;Taoist
f49|religion|RK;EV;VD
f50|religion|atheist;agnostic;believer
f51|religion|Sikh;Jain;Hindu;Parsi
f52|religion|Orthodox;Catholic;Lutheran
f53|ethnic origin|Black;White;Asian;Hispanic
f54|ethnic origin|White British;Black African;Black Caribbean;Mixed
f55|ethnic origin|Caucasian;African American;Latino;Native American
f56|ethnic origin|preto;branco;pardo;indígena
f57|ethnic origin|mestizo;indígena;afrodescendiente;blanco
f58|ethnic origin|Han;Uyghur;Tibetan;Hui
f59|ethnic origin|Malay;Chinese;Indian;Others
f60|ethnic origin|Roma;non-Roma
f61|ethnic origin|Arab;Kurd;Turkmen
f62|ethnic origin|black;white;prefer not to say
f63|ethnic origin|Brahmin;Kshatriya;Vaishya;Shudra;Dalit
f64|ethnic origin|SC;ST;OBC;General
f65|ethnic origin|Scheduled Caste;Scheduled Tribe;Other Backward Class;General
f66|national origin|German;French;Italian;Turkish;Polish
f67|national origin|EU citizen;non-EU citizen
f68|national origin|EU-Bürger;Drittstaatsangehöriger
f69|national origin|citizen;permanent resident;refugee;asylum seeker
f70|national origin|Deutsch;Nicht-Deutsch;staatenlos
f71|national origin|native-born;foreign-born
f72|opinion|Democrat;Republican;Independent
f73|opinion|CDU;SPD;Grüne;FDP;AfD
f74|opinion|Labour;Conservative;Liberal Democrat;SNP
f75|opinion|Partido Popular;PSOE;Vox;Podemos
f76|opinion|left-wing;centrist;right-wing
f77|opinion|party member;not a party member
f78|opinion|socialist;liberal;conservative;communist
f79|opinion|union member;not a union member
f80|opinion|Gewerkschaftsmitglied;kein Gewerkschaftsmitglied
f81|opinion|unionized;non-unionized
f82|opinion|syndiqué;non syndiqué
f83|opinion|IG Metall;ver.di;GEW;none
f84|opinion|afiliado al sindicato;no afiliado
f85|family|married;single;divorced;widowed
f86|family|verheiratet;ledig;geschieden;verwitwet
f87|family|casado;soltero;divorciado;viudo
f88|family|célibataire;marié;divorcé
f89|family|未婚;已婚;离异
f90|family|żonaty;kawaler;rozwiedziony
f91|health|A+;A-;B+;B-;O+;O-;AB+;AB-
f92|genetic features|BRCA1 carrier;BRCA1 non-carrier
f93|health|vaccinated;unvaccinated
f94|health|smoker;non-smoker;ex-smoker
f98|gender|prefer not to say;woman;man
f99|sexual orientation|no response;heterosexual;other
f100|religion|Protestantse;Katholiek;Moslim;geen
f101|gender|ชาย;หญิง
f102|family|нет;беременна
f103|ethnic origin|кавказец;славянин
f104|religion|мусульманин;христианин;атеист
f105|religion|مسلم;مسيحي
f106|gender|ذكر;أنثى
f107|gender|पुरुष;महिला
f108|gender|남성;여성
g1|gender|Male;Female;Rather not say
g2|gender|weiblich;männlich;ohne Angabe
g3|gender|Femme;Homme;Ne souhaite pas répondre
g4|gender|Donna;Uomo;Preferisco non rispondere
g5|gender|Kobieta;Mężczyzna;Wolę nie mówić
g6|gender|Женщина;Мужчина;Предпочитаю не отвечать
g7|gender|女性;男性;回答しない
g8|gender|女;男;不愿透露
g9|gender|여성;남성;밝히고 싶지 않음
g10|gender|Kvinde;Mand;Ønsker ikke at svare
g11|gender|Nainen;Mies;En halua sanoa
g12|gender|Kadın;Erkek;Belirtmek istemiyorum
g13|gender|Γυναίκα;Άνδρας;Προτιμώ να μην απαντήσω
g14|gender|אישה;גבר;מעדיפה לא לענות
g15|gender|امرأة;رجل;أفضل عدم الإجابة
g16|gender|Vrouw;Man;Wil ik niet zeggen
g17|gender|Wanita;Pria;Tidak ingin menjawab
g18|gender|Nő;Férfi;Nem szeretném megadni
g19|gender|Femeie;Bărbat;Prefer să nu răspund
g20|gender|Žena;Muž;Nechci uvést
g21|gender|महिला;पुरुष;बताना नहीं चाहते
g22|gender|♀️;♂️
g23|gender|♀ Frau;♂ Mann
g24|gender|D;W;M
g25|gender|trans;cis
g26|gender|agender;genderfluid;nonbinary;woman;man
g27|sexual orientation|demisexual;bisexual;heterosexual;questioning
g28|sexual orientation|hetero;homo;bi
g29|sexual orientation|same-sex attracted;opposite-sex attracted
g30|religion|sunnitisch;schiitisch;alevitisch
g31|religion|Shi'ite;Sunnite;Christian
g32|religion|суннит;шиит
g33|religion|سني;شيعي
g34|religion|Church member;not a church member
g35|national origin|EU national;Non-EU national
g36|national origin|EU-Ausländer;Deutscher;Drittstaat
g37|national origin|ciudadano de la UE;extracomunitario
g38|national origin|cittadino UE;cittadino extra UE
g39|national origin|citoyen de l'UE;ressortissant hors UE
g40|national origin|obywatel UE;cudzoziemiec
g41|national origin|with migration background;without migration background
g42|national origin|mit Migrationshintergrund;ohne Migrationshintergrund
g43|ethnic origin|General;OBC;SC;ST;EWS
g44|ethnic origin|Brahmin;Rajput;Jat;Dalit
g45|ethnic origin|upper caste;backward caste;dalit
g46|opinion|Parteimitglied;parteilos
g47|opinion|party member;no party;other
g48|opinion|党员;非党员
g49|opinion|член партии;беспартийный
g50|opinion|trade union member;non-member
g51|opinion|in a trade union;not in a trade union
g52|opinion|iscritto al sindacato;non iscritto
g53|opinion|vakbondslid;geen lid
g54|opinion|член профсоюза;не член профсоюза
g55|family|Pregnant;Not pregnant;Unknown
g56|family|incinta;non incinta
g57|family|zwanger;niet zwanger
g58|family|w ciąży;nie w ciąży
g59|family|gravid;ikke gravid
g60|family|беременна;не беременна
g61|family|妊娠中;妊娠していない
g62|health|HIV-positive;HIV-negative;not tested
g63|health|living with HIV;not living with HIV
g64|health|séropositif;séronégatif
g65|health|HIV pozitif;HIV negatif
g66|health|ВИЧ+;ВИЧ-
g67|health|type 1 diabetes;type 2 diabetes;no diabetes
g68|health|hypertension;no hypertension
g69|genetic features|sickle cell trait;none
g70|genetic features|carrier of a mutation;not a carrier
g71|disability|disabled;not disabled
g72|disability|engelli;engelsiz
g73|disability|con discapacidad;sin discapacidad
g74|ethnic origin|Roma;Sinti;other
g75|ethnic origin|negro;blanco;indígena;otro
g76|ethnic origin|black;white;asian;rather not say
g77|ethnic origin|Kurdish;Turkish;Arab
g78|opinion|left-wing;right-wing;centrist;no answer
g79|opinion|Christian Democrats;Social Democrats;Greens;Liberals
g80|family|single;partnered;separated;keine Angabe
""".strip().splitlines()

_LATER_HARMLESS = """
billing_period||D;W;M
interval||d;w;m;y
account||disabled;not disabled
feature_x||enabled;disabled
flag_beta||Enabled;Disabled;Default
car_colour||black;white;other
shirt||black;white;red;blue;green
case_color||Schwarz;Weiß;Silber
couleur||noir;blanc;gris;rouge
channel||partner;single;gift
order_kind||single;bundle;gift
seat||single;double;twin;family
room||Single;Double;Suite
account_type||single;joint;business
household_plan||single;couple;family
tier||gold;silver;bronze
plan||free;pro;enterprise
status||active;inactive;closed
shift||M;T;N
size||S;M;L;XL
size2||F;M;S
gear||M;A
day||Mo;Di;Mi;Do;Fr;Sa;So
day_es||L;M;X;J;V;S;D
weekday||M;T;W;T;F
month||Jan;Feb;Mar;Apr;May;Jun
grade||A;B;C;D;F
rating||G;PG;R
cable_end||male;female
connector||male to male;male to female
plug||M;F;MF
member||member;non-member
union||union;intersection
sector||public;private;non-profit
party||first party;third party
party_size||party of 2;party of 4;party of 6
cookies||first-party;third-party;none
test_result||positive;negative
hiring_test||pass;fail;pending
sentiment||positive;negative;neutral
polarity||positive;negative;unknown
trend||up;down;flat
direction||left;right
lane||left;center;right
alignment||left;centre;right;justified
wing||left wing;right wing
bank_side||progressive;conservative;balanced
portfolio||conservative;moderate;aggressive
investment_style||conservative;liberal;balanced
driver||green;blue;white
label||green;red;yellow
energy||green;grey;mixed
cert||green;black;white belt
belt||white;yellow;green;brown;black
list||blacklist;whitelist
hat||black hat;white hat;grey hat
hair_product||blonde;brown;black;red
coffee||black;white;decaf
wine||red;white;rosé
cuisine||Indian;Italian;Chinese;Mexican;Thai
restaurant||Japanese;French;Greek
language_course||English;German;French;Spanish
diet_menu||vegan;vegetarian;standard
country_group||EU;US;APAC
region||EU;non-EU
vat||EU;non-EU;domestic
warehouse||EU;UK;US
shipping_zone||domestic;EU;international
contract||permanent;temporary;intern
employment||full-time;part-time
job_level||junior;mid;senior;lead
title_work||engineer;manager;director;analyst
degree||BSc;MSc;PhD
school||primary;secondary;tertiary
consent||yes;no;prefer not to say
newsletter||yes;no;rather not say;unknown
contact||email;phone;prefer not to be contacted
answered||yes;no;keine Angabe
survey_q||agree;disagree;neutral;no answer
q7||never;sometimes;often;prefer not to say
satisfaction||very good;good;bad;prefiero no decir
relation||customer;supplier;partner
partner_level||gold partner;silver partner;registered
contact_type||partner;lead;customer
os||Windows;macOS;Linux
browser||Chrome;Firefox;Safari
device||mobile;desktop;tablet
payment||card;cash;transfer
fuel||petrol;diesel;electric;hybrid
housing_kind||flat;house;studio
pet||dog;cat;none
expecting_delivery||expecting;delivered;returned
load||full;empty;half
status_pl||aktywny;nieaktywny
status_de||aktiv;inaktiv;gesperrt
stato||attivo;sospeso;chiuso
estado||activo;inactivo;pendiente
estado_mx||Jalisco;Sonora;Puebla
tr||evet;hayır
jp||はい;いいえ
ru||да;нет
cn||是;否
kr||예;아니오
bool||true;false
yn||Y;N
yn2||0;1
code||1;2
code9||1;2;9
blood_sugar_meter_model||A1;B2;C3
printer||color;mono
photo||bw;color
chess||white;black
piano||black;white
team||home;away
gift||yes;no
civil_works||planned;started;finished
divorce_of_accounts||merged;separated;split
order_state||separated;packed;sent
cells||single;married;both
fabric||cotton;wool;mixed
race_type||5k;10k;half marathon;marathon
class||economy;business;first
class2||working;idle
caste_of_bees||queen;worker;drone
access||none;reader;writer;admin
sign||♈;♉;♊
mark||✓;✗
stars||★;★★;★★★
arrow||↑;↓;→
weather||sunny;rain;snow
labour||labour;parts;travel
cost_kind||labor;material;overhead
uk_invoice||labour;material
topic||politics;religion;sports;health
section||sport;politik;kultur
faith_school_shop||books;clothes;food
orientation||portrait;landscape
sort||straight;curved;bent
pipe||straight;bent
road||straight;winding
strategy||bi-weekly;weekly
pressure||normal;high;low
health_check||ok;degraded;down
health||healthy;unhealthy;draining
door||open;closed;locked
ticket_state||open;pending;solved;refused
relay||on;off;disabled
api_key||disabled;active;revoked
login||disabled;not disabled;locked
wifi||disabled;disabled by admin;enabled
sync_mode||disabled;manual;automatic
window_unit||d;w;m
unit_of_time||h;d;w;m
report_cycle||D;M;W;Q
letters||a;b;c;d
vitamin||A;B;C;D;K
paint||white;black;yellow;other
bike_colour||black;white;unknown
pen||black;blue;red;other
farbe||schwarz;weiß;andere
fahrzeugfarbe||schwarz;weiss;sonstige
color_coche||negro;blanco;otro
ink||black;colour;other
list_kind||black;white;grey
delivery||single;partner;express
voucher_kind||gift;single;partner;multi
coupon||partner;gift;single;none
mode||single;partnered;team
bedtype||single;separate;couple
cutlery||separate;single;mixed
processing||separated;single;mixed
waste||separated;mixed;single stream
reseller||partner;single;couple of partners
tournament||singles;doubles;mixed
court||single;double;mixed
crossing||straight;left;right
seat_row||far left;far right;center
text_align||center left;center right;center
layout||left;right;center;none
wing_side||left wing;right wing;body
economy||liberal;moderate;restrictive
estimate||conservative;moderate;optimistic
return_policy||liberal;strict;moderate
lead||independent;affiliate;chain
membership||member;guest;none
club||member;former member;not a member
rabatt||Mitglied;kein Mitglied
credit||union bank;credit union;other
job_market||labour;capital
boat||labour;leisure;other
carrier||DHL;UPS;FedEx
network_carrier||carrier A;carrier B;other
drink||alcoholic;non-alcoholic
parcel||overweight;normal;other
docs||documented;undocumented
parcel_state||normal;overweight
meteo||depression;front;high
transistor||bipolar;unipolar
hearing||aids;none
heating||warm;cold
pulse||normal;positive;negative
covid_policy||remote;hybrid;office
charge||positive;negative
vote_kind||for;against;no answer
opt_in||yes;no;prefer not to say;unknown
hobby||sports;music;prefer not to say
brand||no;other;Nike;Adidas
comment||none;other;see note
language||deutsch;english;other
site_language||Deutsch;Français;Italiano
sprache||deutsch;nicht deutsch
market||EU;Non-EU;other
data_region||eu;non-eu;us
goods||domestic;foreign
currency||foreign;domestic;mixed
plant||native;invasive
species||native;introduced;unknown
app_kind||native;hybrid;web
test_group||A;B;control
roma||Roma;Milano;Napoli
pizza||Roma;Napoli;other
city||Roma;Non listed;Other
stage||SC;ST;QF
medal||gold;silver;bronze;none
grade_letter||O;A;B;F
pos||GK;DF;MF;FW
sex_of_screw||outer;inner
level_hr||junior;senior;lead
cycle||general;special
seniority||general;associate;partner
law_firm||partner;associate;counsel
law_role||partner;single practitioner;associate
audit||partner;manager;senior
company_form||single owner;partnership;corporation
tax||partnership;single owner;trust
owner||sole;partner;partnership
business_relation||partner;relative performance;single deal
battery||single;double;separate
sim||single;dual
thread||single;multi
flight||single;return
channel2||partner;direct;online
cable||M;F
gender_of_noun_de||der;die;das
noun||maskulinum;femininum;neutrum
plug_kind||m;f
signal||♈;♉
arrows||→;←
marks||+;-
level_sign||A+;A;A-
rating_sp||AA+;AA;AA-;BBB+
score||1+;1;1-
""".strip().splitlines()


def _fields(lines: list[str]) -> list[tuple[str, str, list[str]]]:
    return [(name, attribute, values.split(";")) for name, attribute, values in (line.split("|") for line in lines)]


PROTECTED, HARMLESS = _fields(_PROTECTED), _fields(_HARMLESS)
LATER_PROTECTED, LATER_HARMLESS = _fields(_LATER_PROTECTED), _fields(_LATER_HARMLESS)


def counts_of(values: list[str]) -> dict[str, int]:
    """People by value: the first is the commonest, the last has at least 100."""
    return {value: 100 + 1000 // (at + 1) for at, value in enumerate(values)}
