"""Variables by short names, as the gateway's set_configuration and a charger's settings use them."""

from __future__ import annotations

from simulator.device_model import DeviceModel
from simulator.variables201 import VARIABLES, Variable

#: Keys of 1.6 that have another name in 2.0.1 (OCPP 2.0.1 part 2, appendix 4 of the 1.6 mapping).
_ALIASES = {
    "allowofflinetxforunknownid": "AuthCtrlr.OfflineTxForUnknownIdEnabled",
    "authorizationcacheenabled": "AuthCacheCtrlr.Enabled",
    "authorizationkey": "SecurityCtrlr.BasicAuthPassword",
    "authorizeremotetxrequests": "AuthCtrlr.AuthorizeRemoteStart",
    "clockaligneddatainterval": "AlignedDataCtrlr.Interval",
    "connectiontimeout": "TxCtrlr.EVConnectionTimeOut",
    "localauthlistenabled": "LocalAuthListCtrlr.Enabled",
    "metervaluesaligneddata": "AlignedDataCtrlr.Measurands",
    "metervaluesampleinterval": "SampledDataCtrlr.TxUpdatedInterval",
    "metervaluessampleddata": "SampledDataCtrlr.TxUpdatedMeasurands",
    "stoptransactiononevsidedisconnect": "TxCtrlr.StopTxOnEVSideDisconnect",
    "stoptransactiononinvalidid": "TxCtrlr.StopTxOnInvalidId",
    "stoptxnsampleddata": "SampledDataCtrlr.TxEndedMeasurands",
    "transactionmessageattempts": "OCPPCommCtrlr.MessageAttempts.TransactionEvent",
    "transactionmessageretryinterval": "OCPPCommCtrlr.MessageAttemptInterval.TransactionEvent",
    "unlockconnectoronevsidedisconnect": "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
}


def find_by_name(name: str) -> Variable | None:
    """The variable called `Component.Variable`, `Component.Variable.Instance`, or by a name of its
    own.
    """
    name = _ALIASES.get(name.lower(), name)
    parts = name.lower().split(".")
    if len(parts) in (2, 3):
        return VARIABLES.get((parts[0], parts[1], parts[2] if len(parts) == 3 else ""))
    found = [v for v in VARIABLES.values() if v.name.lower() == parts[0]]
    return found[0] if len(found) == 1 else None


def change_by_name(model: DeviceModel, name: str, value: str) -> str:
    """Set a variable by a short name; a SetVariableStatusEnumType."""
    variable = find_by_name(name)
    if variable is None:
        return "UnknownVariable"
    item = {
        "component": {"name": variable.component},
        "variable": {"name": variable.name, "instance": variable.instance},
        "attributeValue": value,
    }
    return str(model.set_result(item)["attributeStatus"])
