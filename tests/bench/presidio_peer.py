"""Presidio over texts, for ``personal_data.py``: run by a Python that has it; a JSON text a line in, its classes out.

Every recognizer by pattern is asked, whatever its country; there is no model, and nothing is fetched.
"""

import inspect
import json
import sys
from typing import Any

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, PatternRecognizer, RecognizerRegistry
from presidio_analyzer import predefined_recognizers as shipped
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine

CLASSES = {
    "EMAIL_ADDRESS": "pii.email", "PHONE_NUMBER": "pii.phone", "CREDIT_CARD": "pii.card", "IBAN_CODE": "pii.iban",
    "IP_ADDRESS": "pii.ip", "US_SSN": "pii.national_id.us", "UK_NINO": "pii.national_id.gb",
    "UK_NHS": "pii.national_id.gb", "DE_TAX_ID": "pii.national_id.de", "FR_NIR": "pii.national_id.fr",
    "ES_NIF": "pii.national_id.es", "ES_NIE": "pii.national_id.es", "IT_FISCAL_CODE": "pii.national_id.it",
    "NL_BSN": "pii.national_id.nl", "PL_PESEL": "pii.national_id.pl", "BR_CPF": "pii.national_id.br",
    "SE_PERSONNUMMER": "pii.national_id.se", "IN_AADHAAR": "pii.national_id.in", "IN_PAN": "pii.national_id.in",
    "JP_MY_NUMBER": "pii.national_id.jp",
}  # fmt: skip


class Blank(SpacyNlpEngine):  # type: ignore[misc]
    """A tokenizer without a model."""

    def load(self) -> None:
        self.nlp = {"en": spacy.blank("en")}

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return self._doc_to_nlp_artifact(self.nlp[language](text), language)


tldextract.extract = tldextract.TLDExtract(
    suffix_list_urls=(), cache_dir=None
)  # the list that it ships


def engine() -> AnalyzerEngine:
    """Return an analyzer with every pattern there is."""
    nlp = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    nlp.load()
    registry = RecognizerRegistry(recognizers=[])
    kind: Any
    for name, kind in inspect.getmembers(shipped, inspect.isclass):
        try:
            if name == "PhoneRecognizer":
                regions = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "SE", "IN", "JP")
                registry.add_recognizer(kind(supported_language="en", supported_regions=regions))
            elif issubclass(kind, PatternRecognizer):
                registry.add_recognizer(kind(supported_language="en"))
        except Exception as error:  # one that wants a service or a model is left out, and named
            print(f"left out {name}: {error}", file=sys.stderr)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def main() -> None:
    """Answer line by line, the version first."""
    analyzer = engine()
    import importlib.metadata

    print(
        json.dumps({"presidio-analyzer": importlib.metadata.version("presidio-analyzer")}),
        flush=True,
    )
    for line in sys.stdin:
        found = analyzer.analyze(json.loads(line), language="en")
        print(
            json.dumps(
                sorted(
                    {
                        CLASSES.get(one.entity_type, one.entity_type)
                        for one in found
                        if one.score >= 0.3
                    }
                )
            )
        )


main()
