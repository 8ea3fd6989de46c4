-- An earlier build kept the smart host's password in each waiting row. The route has it; a row needs its key only.
UPDATE recipient SET detail = json_remove(detail, '$.destination.login')
WHERE json_type(detail, '$.destination.login') IS NOT NULL;
