"""Fields whose name says that they hold names of people: ``name``, ``Nombre``, ``customer_name``, ``Kundenname``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from predict_age.letters import folded_words
from predict_age.source.usual_names import PERSON_WORDS

# Words for a name; languages without case and blanks write it in one word.
_NAMES = (
    "name names nom noms nombre nombres nome nomes naam namen namn navn nimi imie imiona nazwisko jmeno prijmeni meno priezvisko "
    "nev keresztnev vezeteknev nume prenume ime prezime isim soyisim soyad soyadi adsoyad "
    "surname lastname firstname forename fullname nickname initials vorname vornamen nachname familienname prenom prenoms apellido "
    "apellidos sobrenome apelido cognome voornaam achternaam fornavn efternavn etternavn fornamn efternamn username "
    "имя фамилия отчество фио имена піб прізвище ονομα επωνυμο ονοματεπωνυμο "
    "اسم الاسم שם 姓名 名字 氏名 名前 お名前 이름 성명 성함"
)
_NAME_WORDS = frozenset(" ".join(folded_words(_NAMES)).split())
# English words that head a column of names without the word itself.
_ALONE = frozenset(["full", "first", "last", "middle", "given", "family", "display"])
_BESIDE = (
    "complete legal real preferred known as own of the and or "
    "completo completa complet complete compleet volledige vollstandiger fulde fullstendig fullstandigt pelne "
    "de del do da di des du der del la el y e et und i ve "
    "primer primero segundo pila legale proprio "
    "kunde kunden kundin mitarbeiter mitarbeiterin patienten mitglied mitglieder nutzer benutzer teilnehmer "
    "cliente clientes empleado empleada empleados usuario usuaria paciente persona personas socio socia titular trabajador alumno "
    "alumna estudiante funcionario funcionaria utente dipendente paziente klant klanten medewerker werknemer "
    "clients employe employee salarie utilisateur personne membre eleve etudiant kund medarbetare medarbejder ansatt klient "
    "owner holder contact applicant borrower tenant guest passenger candidate participant student pupil teacher player athlete "
    "pracownik staff customers employees members patients users clients"
)
_BESIDE_WORDS = frozenset(_BESIDE.split()) | PERSON_WORDS | _ALONE
_COMPOUND = re.compile(
    "(kunden?|mitarbeiter|arbeitnehmer|patient(en)?|mitglieds?|nutzer|benutzer|personen|teilnehmer|user|customer|client|employee|"
    "member|person|player|student|full|ganzer?|klant|medewerker|kund)(name|namen|naam|namn|navn)"
)

# Things whose ``name`` is not that of a person: ``company.name``, ``kurse[*].name``.
_THINGS = (
    "company employer firm business organisation organization institution school university college course training class "
    "subject product project skill language tool software brand shop store bank branch department unit office club event "
    "plan tariff device vehicle car app website industry sector occupation job position role degree certificate "
    "certification licence license hobby sport city country region category tag item firma unternehmen arbeitgeber schule "
    "universitat hochschule kurs kurse lehrgang lehrgange schulung schulungen ausbildung produkt produkte projekt projekte "
    "kenntnis kenntnisse sprache sprachen marke filiale abteilung verein gerat fahrzeug stadt tarif beruf entreprise "
    "societe employeur ecole universite cours formation produit projet competence langue marque magasin banque ville "
    "empresa escuela universidad curso producto proyecto habilidad idioma marca tienda banco departamento ciudad azienda "
    "scuola universita corso corsi prodotto prodotti progetto lingua empregador escola universidade produto projeto bedrijf "
    "werkgever cursus opleiding foretag skola kurser szkola firmy"
)
_THING_WORDS = frozenset(_THINGS.split())
_PLAIN_NAMES = frozenset(["name", "names", "nom", "nombre", "nome", "naam", "namn", "navn"])


def is_person_name(path: Sequence[str], *, numbers: bool) -> bool:
    """Whether a field's ``path`` says names of people; ``company.name``, and a French ``nombre`` of ``numbers``, do not."""
    *parents, name = [step for step in path if step != "*"]
    words = folded_words(name)
    if parents and _is_thing(parents[-1]) and set(words) <= _PLAIN_NAMES:
        return False
    if numbers and "nombre" in words:
        return False
    has_name = any(word in _NAME_WORDS or _COMPOUND.fullmatch(word) for word in words)
    known = _BESIDE_WORDS if has_name else _ALONE
    return bool(words) and all(word in known or word in _NAME_WORDS or _COMPOUND.fullmatch(word) for word in words)


def _is_thing(parent: str) -> bool:
    last = ["", *folded_words(parent)][-1]
    return last in _THING_WORDS or last.removesuffix("s") in _THING_WORDS or last.removesuffix("ies") + "y" in _THING_WORDS
