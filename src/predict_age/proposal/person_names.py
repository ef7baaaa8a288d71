"""Fields whose name says that they hold names of people: ``name``, ``Nombre``, ``customer_name``, ``Kundenname``."""

from __future__ import annotations

import re

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


def is_person_name(name: str, *, numbers: bool) -> bool:
    """Whether a field's ``name`` says names of people; ``company_name``, and a French ``nombre`` of ``numbers``, do not."""
    words = folded_words(name)
    if numbers and "nombre" in words:
        return False
    has_name = any(word in _NAME_WORDS or _COMPOUND.fullmatch(word) for word in words)
    known = _BESIDE_WORDS if has_name else _ALONE
    return bool(words) and all(word in known or word in _NAME_WORDS or _COMPOUND.fullmatch(word) for word in words)
