"""The guard's part for payments: what an order counts as paid is what its legs captured, to the minor unit."""

from django.db.migrations import RunSQL

CHECK_PAYMENTS = RunSQL(
    sql="""
CREATE FUNCTION flint_check_payments(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    o orders_order;
    legs record;
    operations bigint;
    manual bigint;
    apart bigint;
    open_attempt text;
BEGIN
    SELECT * INTO o FROM orders_order WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT COALESCE(SUM(captured_amount), 0)::bigint AS captured,
           COALESCE(SUM(captured_tip_amount), 0)::bigint AS tip,
           COALESCE(SUM(charged_back_amount), 0)::bigint AS charged_back
        INTO legs FROM payments_paymentintent WHERE order_id = checked;
    SELECT COALESCE(SUM(p.captured_amount), 0)::bigint INTO operations
        FROM payments_paymentoperation p JOIN payments_paymentintent i ON i.id = p.payment_intent_id
        WHERE i.order_id = checked;
    SELECT COALESCE(SUM(CASE kind WHEN 'manual_payment' THEN amount ELSE -amount END), 0)::bigint INTO manual
        FROM orders_ledgerentry
        WHERE order_id = checked AND kind IN ('manual_payment', 'manual_payment_reversed');
    PERFORM flint_refuse(checked, 'order_paid_is_its_legs', o.paid_amount, legs.captured + manual);
    PERFORM flint_refuse(checked, 'order_tip_is_its_legs', o.settled_tip_amount, legs.tip);
    PERFORM flint_refuse(checked, 'order_charged_back_is_its_legs', o.charged_back_amount, legs.charged_back);
    PERFORM flint_refuse(checked, 'leg_captured_is_its_operations', legs.captured, operations);

    -- Not only in sum: each leg for itself, and all in one currency.
    SELECT COUNT(*) INTO apart
        FROM payments_paymentintent i
        LEFT JOIN (
            SELECT p.payment_intent_id, SUM(p.captured_amount) AS captured, MIN(p.currency) AS first,
                   MAX(p.currency) AS last
                FROM payments_paymentoperation p JOIN payments_paymentintent l ON l.id = p.payment_intent_id
                WHERE l.order_id = checked GROUP BY p.payment_intent_id
        ) made ON made.payment_intent_id = i.id
        WHERE i.order_id = checked AND (
            i.currency <> o.currency
            OR i.captured_amount <> COALESCE(made.captured, 0)
            OR made.first <> o.currency OR made.last <> o.currency
        );
    PERFORM flint_refuse(checked, 'each_leg_captured_is_its_operations', 0, apart);

    SELECT COALESCE(MAX(id), '') INTO open_attempt FROM payments_paymentattempt
        WHERE order_id = checked
          AND status IN ('processing', 'requires_action', 'requires_capture', 'requires_retry', 'finalizing');
    IF o.active_attempt_id IS DISTINCT FROM open_attempt THEN
        RAISE EXCEPTION 'flint guard: order % is being paid by % but says %', checked, open_attempt, o.active_attempt_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'order_active_attempt_is_the_open_one';
    END IF;
END $$;

CREATE FUNCTION flint_check_payments_of_order() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_payments(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION flint_check_payments_of_operation() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_payments(order_id) FROM payments_paymentintent WHERE id = NEW.payment_intent_id;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER operation_is_checked_with_its_order
    AFTER INSERT OR UPDATE OF captured_amount, currency, payment_intent_id ON payments_paymentoperation
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_payments_of_operation();

CREATE CONSTRAINT TRIGGER order_is_checked_with_its_payments
    AFTER INSERT OR UPDATE OF paid_amount, settled_tip_amount, charged_back_amount, active_attempt_id ON orders_order
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_payments_of_order();

-- What a leg shows as the processor's fee is what the movements of the balance say, once they are booked.
CREATE FUNCTION flint_check_fees(checked text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    leg payments_paymentintent;
    told record;
BEGIN
    SELECT * INTO leg FROM payments_paymentintent WHERE id = checked;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT SUM(fee_amount) FILTER (WHERE currency = leg.fee_currency)::bigint AS fee,
           SUM(net_amount) FILTER (WHERE currency = leg.fee_currency)::bigint AS net,
           COUNT(*) AS movements
        INTO told FROM payments_balancetransaction
        WHERE payment_intent_id = checked AND type = 'payment' AND booked_at IS NOT NULL;
    PERFORM flint_refuse(checked, 'leg_shows_its_fee', (leg.fee_currency <> '')::int, (told.movements > 0)::int);
    PERFORM flint_refuse(checked, 'leg_fee_is_its_movements', leg.processing_fee_amount, told.fee);
    PERFORM flint_refuse(checked, 'leg_net_is_its_movements', leg.merchant_net_amount, told.net);
END $$;

CREATE FUNCTION flint_check_fees_of_leg() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flint_check_fees(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION flint_check_fees_of_movement() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.payment_intent_id IS NOT NULL THEN
        PERFORM flint_check_fees(NEW.payment_intent_id);
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.payment_intent_id IS DISTINCT FROM NEW.payment_intent_id THEN
        PERFORM flint_check_fees(OLD.payment_intent_id);
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER leg_fee_is_checked
    AFTER UPDATE OF processing_fee_amount, merchant_net_amount, fee_currency ON payments_paymentintent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.processing_fee_amount IS DISTINCT FROM NEW.processing_fee_amount
          OR OLD.merchant_net_amount IS DISTINCT FROM NEW.merchant_net_amount
          OR OLD.fee_currency IS DISTINCT FROM NEW.fee_currency)
    EXECUTE FUNCTION flint_check_fees_of_leg();

CREATE CONSTRAINT TRIGGER movement_is_checked_with_its_leg
    AFTER INSERT OR UPDATE OF payment_intent_id, booked_at ON payments_balancetransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flint_check_fees_of_movement();
""",
    reverse_sql="""
DROP TRIGGER movement_is_checked_with_its_leg ON payments_balancetransaction;
DROP TRIGGER leg_fee_is_checked ON payments_paymentintent;
DROP FUNCTION flint_check_fees_of_movement;
DROP FUNCTION flint_check_fees_of_leg;
DROP FUNCTION flint_check_fees;
DROP TRIGGER order_is_checked_with_its_payments ON orders_order;
DROP TRIGGER operation_is_checked_with_its_order ON payments_paymentoperation;
DROP FUNCTION flint_check_payments_of_operation;
DROP FUNCTION flint_check_payments_of_order;
DROP FUNCTION flint_check_payments;
""",
)
