"""Find identity, tax and insurance numbers whose check digits are in a book."""

import re
from collections.abc import Callable
from functools import partial

from goldgate.agent.safety.forms import Form
from goldgate.ports.identifiers import NationalIds

_ANY = (
    r"national (?:id|identity|insurance)|identity (?:card|number|no)|\bid (?:number|no)\b|social security|"
    r"tax (?:id|number|no)|personal (?:id|number|code)|cédula|ausweis|sécurité sociale|seguridad social"
)

_SCHEMES: tuple[tuple[str, str, str | None], ...] = (
    # Python-stdnum's name, form, and the words without which the form is too common.
    ("at.vnr", r"\d{4} ?\d{6}", r"svnr|sozialversicherungsnummer|\bvsnr\b"),
    ("au.tfn", r"\d{3} ?\d{3} ?\d{2,3}", r"\btfn\b|tax file"),
    ("ar.cuit", r"2[0347]-\d{8}-\d", None),
    ("be.nn", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", None),
    ("be.nn", r"\d{11}", r"rijksregister|registre national|\bnrn\b|\binsz\b|\bniss\b"),
    ("ca.sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", r"(?-i:\bSIN\b)|\bnas\b|social insurance|assurance sociale"),
    ("ch.ssn", r"756\.\d{4}\.\d{4}\.\d{2}", None),
    ("ch.ssn", r"756\d{10}", r"\bahv\b|\bavs\b"),
    ("cl.rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", None),
    ("cn.ric", r"\d{17}[\dXx]", None),
    ("cz.rc", r"\d{6}/\d{4}", None),
    ("de.idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", r"steuer-?id|steueridentifikation|\bidnr\b"),
    ("dk.cpr", r"\d{6}-?\d{4}", r"\bcpr\b|personnummer"),
    ("ee.ik", r"\d{11}", r"isikukood"),
    ("es.dni", r"\d{8}-?[A-Za-z]", None),
    ("fi.hetu", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Z]", None),
    ("gb.nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", r"\bnhs\b"),
    ("gr.amka", r"\d{11}", r"amka|αμκα"),
    ("hr.oib", r"\d{11}", r"\boib\b"),
    ("ie.pps", r"\d{7}[A-W][A-IW]?", r"\bpps"),
    ("in_.aadhaar", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", r"aadhaa?r|uidai"),
    ("br.cpf", r"\d{11}", r"\bcpf\b"),
    ("kr.rrn", r"\d{6}-[1-8]\d{6}", None),
    ("lt.asmens", r"\d{11}", r"asmens kodas"),
    ("mx.curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", None),
    ("my.nric", r"\d{6}-\d{2}-\d{4}", None),
    ("nl.bsn", r"\d{8,9}", r"\bbsn\b|burgerservice|sofinummer"),
    ("no.fodselsnummer", r"\d{6} ?\d{5}", None),
    ("pl.pesel", r"\d{11}", r"pesel"),
    ("pt.nif", r"\d{9}", r"\bnif\b|contribuinte"),
    ("ro.cnp", r"\d{13}", r"\bcnp\b"),
    ("se.personnummer", r"\d{6}(?:\d{2})?[-+]\d{4}", None),
    ("th.pin", r"\d-\d{4}-\d{5}-\d{2}-\d", None),
    ("tr.tckimlik", r"[1-9]\d{10}", r"kimlik|\bt\.?c\.? ?(?:no|kimlik)"),
    ("za.idnr", r"\d{13}", r"\bid (?:number|no)\b|south african id"),
)

COUNTRIES = tuple(sorted({scheme.partition(".")[0].strip("_") for scheme, _, _ in _SCHEMES} | {"fr", "gb", "it", "us"}))
"""Countries whose numbers are known, those without a book included, as two letters."""


def national_id_forms(book: NationalIds) -> tuple[Form, ...]:
    """Give the forms that a book can check."""
    return tuple(_form(scheme, pattern, words, book) for scheme, pattern, words in _SCHEMES)


def _form(scheme: str, pattern: str, words: str | None, book: NationalIds) -> Form:
    named = None if words is None else re.compile(f"{words}|{_ANY}", re.IGNORECASE)
    check: Callable[[re.Match[str]], bool] = partial(_is_valid, scheme=scheme, book=book)
    return Form(
        kind="national id",
        pattern=re.compile(rf"(?<![\w.+-])(?P<datum>{pattern})(?![\w-]|[./]\d)"),
        check=check,
        words=named,
    )


def _is_valid(match: re.Match[str], *, scheme: str, book: NationalIds) -> bool:
    return book.is_valid(match["datum"], scheme=scheme)
