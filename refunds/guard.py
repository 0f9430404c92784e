"""
The guard's part for refunds and disputes: what an order counts as given back or promised is what its refund legs say,
what it counts as charged back is what its disputes say, and credit notes give no more than they are worth.
"""

from django.db.migrations import RunSQL

REFUNDS = """
CREATE FUNCTION flint_check_refunds(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    o orders_order;
    legs record;
    payments record;
    allocated record;
    parts record;
    overpaid bigint;
    apart bigint;
BEGIN
    SELECT * INTO o FROM orders_order WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT COALESCE(SUM(amount) FILTER (WHERE status = 'succeeded'), 0)::bigint AS refunded,
           COALESCE(SUM(amount) FILTER (WHERE status IN ('pending', 'requires_action')), 0)::bigint AS pending,
           COALESCE(SUM(tip_amount) FILTER (WHERE status = 'succeeded'), 0)::bigint AS tip
        INTO legs FROM refunds_refundleg WHERE order_id = checked;
    SELECT COALESCE(SUM(refunded_amount), 0)::bigint AS refunded,
           COALESCE(SUM(refund_pending_amount), 0)::bigint AS pending
        INTO payments FROM payments_paymentintent WHERE order_id = checked;
    PERFORM flint_refuse(checked, 'order_refunded_is_its_refunds', o.refunded_amount, legs.refunded);
    PERFORM flint_refuse(checked, 'order_refund_pending_is_its_refunds', o.refund_pending_amount, legs.pending);
    PERFORM flint_refuse(checked, 'order_tip_refunded_is_its_refunds', o.tip_refunded_amount, legs.tip);
    PERFORM flint_refuse(checked, 'order_refunded_is_its_payments', o.refunded_amount, payments.refunded);
    PERFORM flint_refuse(checked, 'order_refund_pending_is_its_payments', o.refund_pending_amount, payments.pending);

    -- Not only in sum: each payment, each refund and each leg for itself, and all in one currency.
    SELECT COUNT(*) INTO apart
        FROM payments_paymentintent i
        LEFT JOIN (
            SELECT payment_intent_id,
                   SUM(amount) FILTER (WHERE status = 'succeeded') AS refunded,
                   SUM(amount) FILTER (WHERE status IN ('pending', 'requires_action')) AS pending
                FROM refunds_refundleg WHERE order_id = checked GROUP BY payment_intent_id
        ) g ON g.payment_intent_id = i.id
        WHERE i.order_id = checked
          AND (i.refunded_amount <> COALESCE(g.refunded, 0) OR i.refund_pending_amount <> COALESCE(g.pending, 0));
    PERFORM flint_refuse(checked, 'payments_refunded_are_their_legs', 0, apart);
    SELECT COUNT(*) INTO apart
        FROM refunds_refund r
        WHERE r.order_id = checked
          AND r.amount <> (SELECT COALESCE(SUM(amount), 0) FROM refunds_refundleg WHERE refund_id = r.id);
    PERFORM flint_refuse(checked, 'refunds_are_their_legs', 0, apart);
    SELECT COUNT(*) INTO apart
        FROM refunds_refundleg g JOIN payments_paymentoperation p ON p.id = g.operation_id
        WHERE g.order_id = checked AND (
            g.currency <> o.currency
            OR p.payment_intent_id <> g.payment_intent_id
            OR NOT g.is_correction AND g.credit_amount <> (
                SELECT COALESCE(SUM(amount), 0) FROM refunds_refundallocation WHERE leg_id = g.id
            )
        );
    PERFORM flint_refuse(checked, 'refund_legs_credit_their_allocations', 0, apart);

    -- What went back of lines, charges and flat taxes is what their allocations say.
    SELECT COALESCE(SUM(a.amount) FILTER (WHERE g.status = 'succeeded'), 0)::bigint AS refunded,
           COALESCE(SUM(a.amount) FILTER (WHERE g.status IN ('pending', 'requires_action')), 0)::bigint AS pending,
           COALESCE(SUM(a.quantity) FILTER (WHERE g.status = 'succeeded'), 0)::bigint AS units
        INTO allocated
        FROM refunds_refundallocation a JOIN refunds_refundleg g ON g.id = a.leg_id
        WHERE a.order_id = checked AND NOT g.is_correction
          AND COALESCE(a.line_item_id, a.charge_id, a.tax_breakdown_id) IS NOT NULL;
    SELECT COALESCE(SUM(refunded), 0)::bigint AS refunded, COALESCE(SUM(pending), 0)::bigint AS pending,
           COALESCE(SUM(units), 0)::bigint AS units
        INTO parts
        FROM (
            SELECT refunded_amount AS refunded, refund_pending_amount AS pending, refunded_quantity AS units
                FROM orders_lineitem WHERE order_id = checked
            UNION ALL
            SELECT refunded_amount, refund_pending_amount, 0 FROM orders_charge WHERE order_id = checked
            UNION ALL
            SELECT refunded_amount, refund_pending_amount, 0 FROM orders_taxbreakdown WHERE order_id = checked
        ) every_part;
    PERFORM flint_refuse(checked, 'parts_refunded_are_their_allocations', parts.refunded, allocated.refunded);
    PERFORM flint_refuse(checked, 'parts_refund_pending_are_their_allocations', parts.pending, allocated.pending);
    PERFORM flint_refuse(checked, 'lines_units_refunded_are_their_allocations', parts.units, allocated.units);

    SELECT COUNT(*) INTO apart
        FROM (
            SELECT id, refunded_amount AS refunded, refund_pending_amount AS pending
                FROM orders_lineitem WHERE order_id = checked
            UNION ALL
            SELECT id, refunded_amount, refund_pending_amount FROM orders_charge WHERE order_id = checked
            UNION ALL
            SELECT id, refunded_amount, refund_pending_amount FROM orders_taxbreakdown WHERE order_id = checked
        ) part
        LEFT JOIN (
            SELECT COALESCE(a.line_item_id, a.charge_id, a.tax_breakdown_id) AS part_id,
                   SUM(a.amount) FILTER (WHERE g.status = 'succeeded') AS refunded,
                   SUM(a.amount) FILTER (WHERE g.status IN ('pending', 'requires_action')) AS pending
                FROM refunds_refundallocation a JOIN refunds_refundleg g ON g.id = a.leg_id
                WHERE a.order_id = checked AND NOT g.is_correction
                GROUP BY 1
        ) given ON given.part_id = part.id
        WHERE part.refunded <> COALESCE(given.refunded, 0) OR part.pending <> COALESCE(given.pending, 0);
    PERFORM flint_refuse(checked, 'each_part_refunded_is_its_allocations', 0, apart);

    -- An adjustment pays out at most what it withheld.
    SELECT COUNT(*) INTO overpaid
        FROM refunds_refundadjustment j
        WHERE j.order_id = checked AND j.amount < (
            SELECT COALESCE(SUM(a.amount), 0)
                FROM refunds_refundallocation a JOIN refunds_refundleg g ON g.id = a.leg_id
                WHERE a.adjustment_id = j.id AND NOT g.is_correction
                  AND g.status IN ('succeeded', 'pending', 'requires_action')
        );
    PERFORM flint_refuse(checked, 'adjustments_pay_out_what_they_withheld', 0, overpaid);
END $$;

CREATE FUNCTION flint_check_refunds_of_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_refunds(to_jsonb(NEW) ->> TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER order_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount, tip_refunded_amount ON orders_order
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('id');
CREATE CONSTRAINT TRIGGER payment_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount ON payments_paymentintent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
CREATE CONSTRAINT TRIGGER line_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount, refunded_quantity ON orders_lineitem
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
CREATE CONSTRAINT TRIGGER charge_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount ON orders_charge
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
CREATE CONSTRAINT TRIGGER tax_is_checked_with_its_refunds
    AFTER UPDATE OF refunded_amount, refund_pending_amount ON orders_taxbreakdown
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_refunds_of_row('order_id');
"""

DROP_REFUNDS = """
DROP TRIGGER order_is_checked_with_its_refunds ON orders_order;
DROP TRIGGER payment_is_checked_with_its_refunds ON payments_paymentintent;
DROP TRIGGER line_is_checked_with_its_refunds ON orders_lineitem;
DROP TRIGGER charge_is_checked_with_its_refunds ON orders_charge;
DROP TRIGGER tax_is_checked_with_its_refunds ON orders_taxbreakdown;
DROP FUNCTION flint_check_refunds_of_row;
DROP FUNCTION flint_check_refunds;
"""

DISPUTES = """
CREATE FUNCTION flint_check_disputes(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    o orders_order;
    d record;
    m record;
    excess bigint;
    apart bigint;
BEGIN
    SELECT * INTO o FROM orders_order WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT COALESCE(SUM(charged_back_amount), 0)::bigint AS charged_back,
           COALESCE(SUM(excess_amount), 0)::bigint AS excess,
           COALESCE(SUM(written_off_amount), 0)::bigint AS written_off,
           COUNT(*) FILTER (WHERE charged_back_amount > 0 AND decision = '') AS undecided
        INTO d FROM refunds_dispute WHERE order_id = checked;
    SELECT COALESCE(SUM(charged_back_amount), 0)::bigint AS charged_back,
           COALESCE(SUM(excess_amount), 0)::bigint AS excess,
           COALESCE(SUM(written_off_amount), 0)::bigint AS written_off
        INTO m FROM refunds_disputemovement WHERE order_id = checked;
    SELECT COALESCE(SUM(CASE kind WHEN 'dispute_excess' THEN amount ELSE -amount END), 0)::bigint INTO excess
        FROM orders_ledgerentry
        WHERE order_id = checked AND kind IN ('dispute_excess', 'dispute_excess_reinstated');
    SELECT COUNT(*) INTO apart
        FROM payments_paymentintent i
        WHERE i.order_id = checked AND i.charged_back_amount <> (
            SELECT COALESCE(SUM(charged_back_amount), 0) FROM refunds_dispute WHERE payment_intent_id = i.id
        );
    PERFORM flint_refuse(checked, 'order_charged_back_is_its_disputes', o.charged_back_amount, d.charged_back);
    PERFORM flint_refuse(checked, 'payments_charged_back_are_their_disputes', 0, apart);
    PERFORM flint_refuse(checked, 'disputes_are_their_movements', d.charged_back, m.charged_back);
    PERFORM flint_refuse(checked, 'dispute_excess_is_its_movements', d.excess, m.excess);
    PERFORM flint_refuse(checked, 'dispute_excess_is_in_the_ledger', d.excess, excess);
    PERFORM flint_refuse(checked, 'disputes_written_off_are_their_movements', d.written_off, m.written_off);
    -- An open order is blocked while a debt is undecided; closing it decides, and nothing else may block it.
    IF o.is_collection_blocked AND d.undecided = 0
       OR o.status = 'open' AND d.undecided > 0 AND NOT o.is_collection_blocked THEN
        RAISE EXCEPTION 'flint guard: order % has % undecided disputes but is blocked: %', checked, d.undecided,
            o.is_collection_blocked
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'order_is_blocked_by_its_disputes';
    END IF;
END $$;

CREATE FUNCTION flint_check_disputes_of_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_disputes(to_jsonb(NEW) ->> TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER order_is_checked_with_its_disputes
    AFTER UPDATE OF charged_back_amount, is_collection_blocked, status ON orders_order
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.charged_back_amount <> NEW.charged_back_amount
          OR OLD.is_collection_blocked <> NEW.is_collection_blocked OR OLD.status <> NEW.status)
    EXECUTE FUNCTION flint_check_disputes_of_row('id');
CREATE CONSTRAINT TRIGGER payment_is_checked_with_its_disputes
    AFTER UPDATE OF charged_back_amount ON payments_paymentintent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.charged_back_amount <> NEW.charged_back_amount)
    EXECUTE FUNCTION flint_check_disputes_of_row('order_id');
"""

DROP_DISPUTES = """
DROP TRIGGER order_is_checked_with_its_disputes ON orders_order;
DROP TRIGGER payment_is_checked_with_its_disputes ON payments_paymentintent;
DROP FUNCTION flint_check_disputes_of_row;
DROP FUNCTION flint_check_disputes;
"""

CREDIT_NOTES = """
CREATE FUNCTION flint_check_credit_notes(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    apart bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM invoices_creditnote WHERE order_id = checked) THEN
        RETURN;
    END IF;
    -- A note is its lines, and gives no more than itself: to what is owed and back to the buyer together.
    SELECT COUNT(*) INTO apart
        FROM invoices_creditnote n
        WHERE n.order_id = checked
          AND n.total_amount <> (
                SELECT COALESCE(SUM(total_amount), 0) FROM invoices_creditnoteline WHERE note_id = n.id
            );
    PERFORM flint_refuse(checked, 'credit_note_is_its_lines', 0, apart);
    SELECT COUNT(*) INTO apart
        FROM invoices_creditnote n
        WHERE n.order_id = checked
          AND CASE n.status WHEN 'issued' THEN n.total_amount ELSE 0 END < (
                SELECT COALESCE(SUM(amount), 0) FROM invoices_creditnoteallocation
                    WHERE note_id = n.id AND reversed_at IS NULL
            ) + (
                SELECT COALESCE(SUM(g.amount), 0)
                    FROM refunds_refund r JOIN refunds_refundleg g ON g.refund_id = r.id
                    WHERE r.credit_note_id = n.id AND g.status IN ('succeeded', 'pending', 'requires_action')
            );
    PERFORM flint_refuse(checked, 'credit_note_gives_at_most_itself', 0, apart);

    -- Notes take back no more than their invoice bills, and are about it and its order.
    SELECT COUNT(*) INTO apart
        FROM invoices_invoice i
        WHERE i.order_id = checked AND i.total_amount < (
            SELECT COALESCE(SUM(total_amount), 0) FROM invoices_creditnote WHERE invoice_id = i.id AND status = 'issued'
        );
    PERFORM flint_refuse(checked, 'credit_notes_within_their_invoice', 0, apart);
    SELECT COUNT(*) INTO apart
        FROM invoices_creditnote n JOIN invoices_invoice i ON i.id = n.invoice_id
        WHERE n.order_id = checked AND (i.order_id <> n.order_id OR i.currency <> n.currency
                                        OR n.status = 'issued' AND i.status IN ('draft', 'void'));
    PERFORM flint_refuse(checked, 'credit_note_is_of_its_invoice', 0, apart);
    SELECT COUNT(*) INTO apart
        FROM refunds_refund r JOIN invoices_creditnote n ON n.id = r.credit_note_id
        WHERE n.order_id = checked AND r.order_id <> n.order_id;
    PERFORM flint_refuse(checked, 'refund_is_of_its_notes_order', 0, apart);

    -- What is applied is what the ledger credits for it.
    SELECT COUNT(*) INTO apart
        FROM invoices_creditnoteallocation a JOIN invoices_creditnote n ON n.id = a.note_id
        LEFT JOIN (
            SELECT source_id,
                   SUM(amount) FILTER (WHERE kind LIKE 'credit\\_%' AND kind NOT LIKE '%\\_reversed') AS credited,
                   SUM(amount) FILTER (WHERE kind LIKE 'credit\\_%\\_reversed') AS reversed
                FROM orders_ledgerentry WHERE order_id = checked GROUP BY source_id
        ) e ON e.source_id = a.id
        WHERE n.order_id = checked
          AND (COALESCE(e.credited, 0) <> a.amount
               OR COALESCE(e.reversed, 0) <> CASE WHEN a.reversed_at IS NULL THEN 0 ELSE a.amount END);
    PERFORM flint_refuse(checked, 'allocations_are_in_the_ledger', 0, apart);
END $$;

CREATE FUNCTION flint_check_credit_notes_of_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[0] = 'order_id' THEN
        PERFORM flint_check_credit_notes(NEW.order_id);
    ELSE
        PERFORM flint_check_credit_notes(order_id) FROM invoices_creditnote
            WHERE id = to_jsonb(COALESCE(NEW, OLD)) ->> 'note_id';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER credit_note_is_checked_with_its_order
    AFTER INSERT OR UPDATE ON invoices_creditnote
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_credit_notes_of_row('order_id');
CREATE CONSTRAINT TRIGGER credit_note_line_is_checked_with_its_order
    AFTER INSERT OR UPDATE OR DELETE ON invoices_creditnoteline
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_credit_notes_of_row('note_id');
CREATE CONSTRAINT TRIGGER credit_allocation_is_checked_with_its_order
    AFTER INSERT OR UPDATE ON invoices_creditnoteallocation
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_credit_notes_of_row('note_id');
CREATE CONSTRAINT TRIGGER refund_is_checked_with_its_note
    AFTER INSERT OR UPDATE ON refunds_refundleg
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_credit_notes_of_row('order_id');
"""

DROP_CREDIT_NOTES = """
DROP TRIGGER refund_is_checked_with_its_note ON refunds_refundleg;
DROP TRIGGER credit_allocation_is_checked_with_its_order ON invoices_creditnoteallocation;
DROP TRIGGER credit_note_line_is_checked_with_its_order ON invoices_creditnoteline;
DROP TRIGGER credit_note_is_checked_with_its_order ON invoices_creditnote;
DROP FUNCTION flint_check_credit_notes_of_row;
DROP FUNCTION flint_check_credit_notes;
"""

CHECK_REFUNDS = RunSQL(
    sql=[REFUNDS, DISPUTES, CREDIT_NOTES], reverse_sql=[DROP_CREDIT_NOTES, DROP_DISPUTES, DROP_REFUNDS]
)
