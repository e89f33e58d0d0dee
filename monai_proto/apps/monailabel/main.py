"""What ``monailabel start_server --app`` looks for: the class of the app."""

from monai_proto.apps.monailabel.label_app import ProtoLabelApp

__all__ = ["ProtoLabelApp"]
