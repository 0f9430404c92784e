"""
The guard: PostgreSQL itself refuses a commit after which an order's amounts differ from its parts, its ledger or its
history, so that neither a bug nor a hand-written UPDATE can make them drift.

Deferred constraint triggers on every table that feeds an order call one function, which sums the order up afresh at
commit. The rooms to the right add their own checks in the same way (``payments.guard``, ``refunds.guard``).
"""

import pgtrigger
from django.db.migrations import RunSQL


def checks_its_order(name: str, *, function: str = "flint_check_order", column: str = "order_id") -> pgtrigger.Trigger:
    """
    Make a trigger that has ``function`` check the row's order when the transaction commits.

    ``column`` is the row's column that names the order; both the old and the new one are checked when it moves.
    """
    return pgtrigger.Trigger(
        name=name,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        when=pgtrigger.After,
        timing=pgtrigger.Deferred,
        func=f"""
            IF TG_OP <> 'DELETE' THEN
                PERFORM {function}(NEW.{column});
            END IF;
            IF TG_OP = 'DELETE' THEN
                PERFORM {function}(OLD.{column});
            ELSIF TG_OP = 'UPDATE' AND OLD.{column} IS DISTINCT FROM NEW.{column} THEN
                PERFORM {function}(OLD.{column});
            END IF;
            RETURN NULL;
        """,
    )


REFUSE = RunSQL(
    sql="""
CREATE FUNCTION flint_refuse(about text, name text, stored bigint, summed bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF stored IS DISTINCT FROM summed THEN
        RAISE EXCEPTION 'flint guard: % of % is % but should be %', name, about, stored, summed
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = name;
    END IF;
END $$;
""",
    reverse_sql="DROP FUNCTION flint_refuse;",
)

CHECK_ORDER = RunSQL(
    sql="""
CREATE FUNCTION flint_check_order(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    o orders_order;
    l record;
    c record;
    t record;
    e record;
    h record;
    granted bigint;
    recorded bigint;
    posted bigint;
BEGIN
    SELECT * INTO o FROM orders_order WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- Its parts.
    SELECT COALESCE(SUM(subtotal_amount), 0) AS subtotal, COALESCE(SUM(discount_amount), 0) AS discount,
           COALESCE(SUM(tax_amount), 0) AS tax, COALESCE(SUM(inclusive_tax_amount), 0) AS inclusive
        INTO l FROM orders_lineitem WHERE order_id = checked;
    SELECT COALESCE(SUM(applied_amount), 0) AS applied, COALESCE(SUM(discount_amount), 0) AS discount,
           COALESCE(SUM(tax_amount), 0) AS tax, COALESCE(SUM(inclusive_tax_amount), 0) AS inclusive
        INTO c FROM orders_charge WHERE order_id = checked;
    SELECT COALESCE(SUM(tax_amount) FILTER (WHERE line_item_id IS NOT NULL), 0) AS lines,
           COALESCE(SUM(tax_amount) FILTER (WHERE charge_id IS NOT NULL), 0) AS charges,
           COALESCE(SUM(tax_amount) FILTER (WHERE calculation_type = 'flat_amount'), 0) AS flat
        INTO t FROM orders_taxbreakdown WHERE order_id = checked;
    PERFORM flint_refuse(checked, 'order_subtotal_is_its_lines', o.subtotal_amount, l.subtotal::bigint);
    PERFORM flint_refuse(checked, 'order_discount_is_its_parts', o.discount_amount, (l.discount + c.discount)::bigint);
    SELECT COALESCE(SUM(applied_amount), 0)::bigint INTO granted
        FROM orders_discount WHERE order_id = checked AND status <> 'canceled';
    PERFORM flint_refuse(checked, 'order_discount_is_its_discounts', o.discount_amount, granted);
    PERFORM flint_refuse(checked, 'order_charge_is_its_charges', o.charge_amount, c.applied::bigint);
    PERFORM flint_refuse(checked, 'order_tax_is_its_parts', o.tax_amount, (l.tax + c.tax + t.flat)::bigint);
    PERFORM flint_refuse(checked, 'order_inclusive_tax_is_its_parts', o.inclusive_tax_amount,
                         (l.inclusive + c.inclusive)::bigint);
    PERFORM flint_refuse(checked, 'line_tax_is_its_breakdown', l.tax::bigint, t.lines::bigint);
    PERFORM flint_refuse(checked, 'charge_tax_is_its_breakdown', c.tax::bigint, t.charges::bigint);

    -- Its ledger.
    SELECT COALESCE(SUM(CASE WHEN debit = 'receivable' THEN amount ELSE -amount END)
                        FILTER (WHERE kind LIKE 'sale\\_%'), 0) AS total,
           COALESCE(SUM(CASE WHEN kind IN ('capture', 'manual_payment') THEN amount
                             WHEN kind = 'manual_payment_reversed' THEN -amount ELSE 0 END), 0) AS paid,
           COALESCE(SUM(CASE WHEN kind = 'refund' THEN amount
                             WHEN kind = 'refund_reversed' THEN -amount ELSE 0 END), 0) AS refunded,
           COALESCE(SUM(CASE WHEN kind = 'refund_promised' THEN amount
                             WHEN kind = 'refund_released' THEN -amount ELSE 0 END), 0) AS pending,
           COALESCE(SUM(CASE WHEN credit = 'receivable' THEN amount ELSE -amount END)
                        FILTER (WHERE kind LIKE 'credit\\_%' OR kind LIKE 'write\\_off%'), 0) AS credited,
           COALESCE(SUM(CASE WHEN kind = 'dispute_withdrawn' THEN amount
                             WHEN kind = 'dispute_reinstated' THEN -amount ELSE 0 END), 0) AS charged_back,
           COALESCE(SUM(CASE WHEN debit = 'receivable' THEN amount WHEN credit = 'receivable' THEN -amount ELSE 0 END),
                    0) AS receivable,
           COUNT(*) AS entries, COALESCE(MAX(sequence), 0) AS last,
           COUNT(*) FILTER (WHERE currency <> o.currency OR environment_id <> o.environment_id) AS foreign_entries
        INTO e FROM orders_ledgerentry WHERE order_id = checked;
    PERFORM flint_refuse(checked, 'order_total_is_its_sales', o.total_amount, e.total::bigint);
    PERFORM flint_refuse(checked, 'order_paid_is_its_ledger', o.paid_amount, e.paid::bigint);
    PERFORM flint_refuse(checked, 'order_refunded_is_its_ledger', o.refunded_amount, e.refunded::bigint);
    PERFORM flint_refuse(checked, 'order_refund_pending_is_its_ledger', o.refund_pending_amount, e.pending::bigint);
    PERFORM flint_refuse(checked, 'order_credit_is_its_ledger', o.credit_amount, e.credited::bigint);
    PERFORM flint_refuse(checked, 'order_charged_back_is_its_ledger', o.charged_back_amount, e.charged_back::bigint);
    PERFORM flint_refuse(checked, 'order_balance_is_its_receivable',
        o.total_amount - o.credit_amount - o.paid_amount + o.refunded_amount + o.charged_back_amount,
        e.receivable::bigint);
    PERFORM flint_refuse(checked, 'order_entries_without_gaps', o.entry_count::bigint, e.entries);
    PERFORM flint_refuse(checked, 'order_entries_without_gaps', e.last::bigint, e.entries);
    PERFORM flint_refuse(checked, 'order_entries_are_its_own', 0, e.foreign_entries);

    -- What people recorded by hand.
    SELECT COALESCE(SUM(CASE WHEN is_reversal THEN -amount ELSE amount END), 0)::bigint INTO recorded
        FROM orders_manualpayment WHERE order_id = checked;
    SELECT COALESCE(SUM(CASE kind WHEN 'manual_payment' THEN amount ELSE -amount END), 0)::bigint INTO posted
        FROM orders_ledgerentry
        WHERE order_id = checked AND kind IN ('manual_payment', 'manual_payment_reversed');
    PERFORM flint_refuse(checked, 'manual_payments_are_in_the_ledger', posted, recorded);
    IF recorded < 0 THEN
        PERFORM flint_refuse(checked, 'manual_payments_reversed_within_themselves', recorded, 0);
    END IF;

    -- Its history ends where it stands.
    SELECT sequence, total_amount, paid_amount, refunded_amount, refund_pending_amount, credit_amount,
           charged_back_amount
        INTO h FROM events_event WHERE order_id = checked ORDER BY sequence DESC LIMIT 1;
    PERFORM flint_refuse(checked, 'order_events_without_gaps', o.event_count::bigint, h.sequence::bigint);
    PERFORM flint_refuse(checked, 'order_total_is_told', o.total_amount, h.total_amount);
    PERFORM flint_refuse(checked, 'order_paid_is_told', o.paid_amount, h.paid_amount);
    PERFORM flint_refuse(checked, 'order_refunded_is_told', o.refunded_amount, h.refunded_amount);
    PERFORM flint_refuse(checked, 'order_refund_pending_is_told', o.refund_pending_amount, h.refund_pending_amount);
    PERFORM flint_refuse(checked, 'order_credit_is_told', o.credit_amount, h.credit_amount);
    PERFORM flint_refuse(checked, 'order_charged_back_is_told', o.charged_back_amount, h.charged_back_amount);
END $$;
""",
    reverse_sql="DROP FUNCTION flint_check_order;",
)

CHECK_EVENTS = RunSQL(
    sql="""
CREATE FUNCTION flint_check_order_of_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_order(NEW.order_id);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER event_is_checked_with_its_order
    AFTER INSERT ON events_event
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_order_of_row();
""",
    reverse_sql="""
DROP TRIGGER event_is_checked_with_its_order ON events_event;
DROP FUNCTION flint_check_order_of_row;
""",
)
