# Judges a report we wrote, by Python's email package and the field rules of RFC 5965 (ARF), RFC 3464 (DSN), RFC 6522 and RFC 5322.
# Each line of standard input is JSON, {"raw": base64, "utf8": bool}; each answer is a line of JSON: what is wrong with the message
# (problems: empty is right) and what it says.
import base64, email, email.header, email.policy, email.utils, ipaddress, json, re, sys
from collections import Counter

problems = []


def need(ok, words):
    if not ok:
        problems.append(words)


def is_date(text):
    try:
        return email.utils.parsedate_to_datetime(text).tzinfo is not None
    except (ValueError, TypeError):
        return False


def is_ip(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def counted(fields, once, optional, many, where):
    seen = Counter(name.lower() for name, _ in fields)
    for name in once:
        need(seen[name.lower()] == 1, f"{where}: {name} stands {seen[name.lower()]} times, not once")
    for name in optional:
        need(seen[name.lower()] <= 1, f"{where}: {name} stands {seen[name.lower()]} times")
    known = {name.lower() for name in [*once, *optional, *many]}
    for name in seen:
        need(name in known, f"{where}: unknown field {name}")


def matches(fields, rules, where):
    for name, value in fields:
        rule = rules.get(name.lower())
        if rule is not None:
            ok = rule(value) if callable(rule) else re.fullmatch(rule, value) is not None
            need(ok, f"{where}: {name} is {value!r}")


MTA = r"dns; [A-Za-z0-9.\-\[\]:]+"
PATH = r'<(?:|[\x21-\x3b\x3d\x3f-\x7e]+@[A-Za-z0-9.\-\[\]:]+)>'
ADDRESS = r"(rfc822; [\x21-\x7e]+|utf-8; [\x21-\x7e]+)"


def check_feedback(part):
    fields = [(n, " ".join(v.split())) for n, v in part.get_payload()[0].items()]
    counted(
        fields,
        ["Feedback-Type", "User-Agent", "Version"],
        ["Original-Envelope-Id", "Original-Mail-From", "Arrival-Date", "Reporting-MTA", "Source-IP", "Incidents"],
        ["Authentication-Results", "Original-Rcpt-To", "Reported-Domain", "Reported-URI"],
        "feedback-report",
    )
    matches(
        fields,
        {
            "feedback-type": r"abuse|fraud|virus|other|not-spam",
            "user-agent": r"[!-~]+/[!-~]+( .*)?",
            "version": r"1",
            "original-mail-from": PATH,
            "original-rcpt-to": PATH,
            "arrival-date": is_date,
            "reporting-mta": MTA,
            "source-ip": is_ip,
            "incidents": lambda v: re.fullmatch(r"[1-9]\d*", v) is not None and int(v) < 2**32,
            "reported-domain": r"[A-Za-z0-9.\-]+",
        },
        "feedback-report",
    )
    need(part.get_payload()[0].get_payload() == "", "feedback-report: text after the fields")
    return [fields]


def check_status(part):
    groups = [[(n, " ".join(v.split())) for n, v in g.items()] for g in part.get_payload()]
    groups = [g for g in groups if g]
    counted(
        groups[0],
        ["Reporting-MTA"],
        ["Original-Envelope-Id", "DSN-Gateway", "Received-From-MTA", "Arrival-Date"],
        [],
        "per message",
    )
    matches(groups[0], {"reporting-mta": MTA, "arrival-date": is_date}, "per message")
    need(len(groups) > 1, "delivery-status: no recipient")
    for number, group in enumerate(groups[1:], 1):
        where = f"recipient {number}"
        counted(
            group,
            ["Final-Recipient", "Action", "Status"],
            ["Original-Recipient", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Final-Log-ID", "Will-Retry-Until"],
            [],
            where,
        )
        matches(
            group,
            {
                "final-recipient": ADDRESS,
                "original-recipient": r"[A-Za-z0-9-]+; [\x20-\x7e]+",
                "action": r"failed|delayed|delivered|relayed|expanded",
                "status": r"[245]\.\d{1,3}\.\d{1,3}",
                "remote-mta": r"[a-z]+; .+",
                "diagnostic-code": r"smtp; [\x20-\x7e]+",
                "last-attempt-date": is_date,
                "will-retry-until": is_date,
            },
            where,
        )
        values = {n.lower(): v for n, v in group}
        classes = {"failed": "5", "delayed": "4", "relayed": "2", "delivered": "2", "expanded": "2"}
        need(values.get("status", "?")[0] == classes.get(values.get("action", ""), "!"), f"{where}: class against action")
        need("will-retry-until" not in values or values.get("action") == "delayed", f"{where}: Will-Retry-Until")
    return groups


def text_of(part):
    return (part.get_payload(decode=True) or b"").decode("utf-8", "replace").replace("\r\n", "\n")


def judge(raw, utf8):
    problems.clear()
    need(re.search(rb"(?<!\r)\n|\r(?!\n)", raw) is None, "a bare CR or LF")
    need(all(len(line) <= 998 for line in raw.split(b"\r\n")), "a line over 998 octets")
    need(b"\0" not in raw, "a NUL")
    need(utf8 or all(byte < 128 for byte in raw), "8-bit octets")
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    for name in ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"]:
        count = len(message.get_all(name, []))
        need(count == 1, f"header: {name} stands {count} times")
    allowed = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type", "auto-submitted",
               "content-transfer-encoding", "in-reply-to", "references"}
    for name in message.keys():
        need(name.lower() in allowed, f"header: unknown field {name}")
    need(is_date(message["Date"]), "header: Date")
    need(re.fullmatch(r"<[!-;=?-~]+@[!-;=?-~]+>", message["Message-ID"] or "") is not None, "header: Message-ID")
    need(message["MIME-Version"] == "1.0", "header: MIME-Version")
    need((message["Auto-Submitted"] or "").startswith("auto-"), "header: Auto-Submitted")
    for part in message.walk():
        for defect in part.defects:
            problems.append(f"{part.get_content_type()}: {type(defect).__name__}")
    parts = message.get_payload() if message.is_multipart() else [message]
    groups = []
    kind = message.get_param("report-type")
    if message.get_content_type() == "multipart/report":
        second = {"feedback-report": "message/feedback-report", "delivery-status": "message/delivery-status"}.get(kind, "?")
        types = [part.get_content_type() for part in parts]
        need(types[:2] == ["text/plain", second], f"parts: {types}")
        need(len(types) == 3 and types[2] in ("message/rfc822", "text/rfc822-headers"), f"parts: {types}")
        if second in types:
            groups = (check_feedback if kind == "feedback-report" else check_status)(parts[1])
    else:
        need(message.get_content_type() == "text/plain", f"type: {message.get_content_type()}")


    subject = str(email.header.make_header(email.header.decode_header(message["Subject"] or "")))
    return {
        "problems": problems,
        "reportType": kind,
        "from": message["From"],
        "to": str(message["To"]),
        "subject": " ".join(subject.split()),
        "text": text_of(parts[0]),
        "groups": groups,
        "third": text_of(parts[2]) if len(parts) > 2 and parts[2].get_content_type() != "message/rfc822" else "",
    }


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(judge(base64.b64decode(asked["raw"]), asked["utf8"])), flush=True)
