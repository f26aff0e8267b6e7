"""The mark by which machines know a picture that a model made: IPTC's property and its XMP. Pure.

Property and values: https://cv.iptc.org/newscodes/digitalsourcetype/.
"""

from typing import Literal

Origin = Literal["generated", "edited"]

_SOURCE_TYPES: dict[Origin, str] = {
    "generated": "trainedAlgorithmicMedia",
    "edited": "compositeWithTrainedAlgorithmicMedia",  # of a picture that somebody brought
}
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def source_type(origin: Origin) -> str:
    """IPTC's term for where such a picture comes from."""
    return f"http://cv.iptc.org/newscodes/digitalsourcetype/{_SOURCE_TYPES[origin]}"


def xmp_packet(origin: Origin) -> str:
    """The XMP that says a model made this picture, or changed it."""
    return _PACKET.format(source_type(origin))
