"""The part of the packaging that pyproject.toml cannot say: `bundles/` travels as `monai_proto/bundles`.

`[tool.setuptools.packages]` either finds packages or lists them; this does both, so that nobody has to list new ones.
"""

from setuptools import find_packages, setup

BUNDLES = "monai_proto.bundles"

setup(
    packages=[*find_packages(include=["monai_proto", "monai_proto.*"]), BUNDLES],
    package_dir={BUNDLES: "bundles"},
    package_data={
        "monai_proto": ["py.typed", "visualize/*.html"],
        # what runs leave in a bundle's folder stays out
        BUNDLES: ["*/LICENSE", "*/configs/*", "*/docs/*", "*/models/model.pt", "*/models/prototypes/*"],
    },
)
