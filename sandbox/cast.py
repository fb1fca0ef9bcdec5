"""The cast of the sandbox: the companies, products and payment terms that its CRM and its ERP both know.

Plain data, all of it made up; nothing is imported, so that any process may read it. Tax ids have valid check digits
(proven in the tests) and no owner. Money is in reais, as decimal strings.
"""

from __future__ import annotations

SELLER = {
    "name": "Ponte Exemplo Distribuidora Ltda",
    "tax_id": "97777777000107",
    "street": "Rua do Exemplo",
    "number": "1",
    "complement": "",
    "district": "Centro",
    "city": "São Paulo",
    "state": "SP",
    "postal_code": "01001000",
}
"""The company that sells: whose CRM and ERP these are."""

AURORA = {
    "code": "CLI-0001",
    "name": "Aurora Metais Ltda",
    "tax_id": "91111111000120",
    "credit_limit": "100000.00",
    "active": True,
    "email": "compras@aurora-metais.example",
    "phone": "+55 11 5550-0101",
    "street": "Avenida das Oficinas",
    "number": "1450",
    "complement": "Galpão 3",
    "district": "Distrito Industrial",
    "city": "São Paulo",
    "state": "SP",
    "postal_code": "04711130",
}
BREVE = {
    "code": "CLI-0002",
    "name": "Breve Comércio Ltda",
    "tax_id": "92222222000177",
    "credit_limit": "1000.00",
    "active": True,
    "email": "financeiro@breve-comercio.example",
    "phone": "+55 19 5550-0102",
    "street": "Rua das Figueiras",
    "number": "77",
    "complement": "",
    "district": "Cambuí",
    "city": "Campinas",
    "state": "SP",
    "postal_code": "13024045",
}
CAMPO = {
    "code": "CLI-0003",
    "name": "Campo Livre S.A.",
    "tax_id": "93333333000113",
    "credit_limit": None,
    "active": True,
    "email": "suprimentos@campo-livre.example",
    "phone": "+55 31 5550-0103",
    "street": "Rodovia do Cerrado",
    "number": "3000",
    "complement": "Km 12",
    "district": "Zona Rural",
    "city": "Belo Horizonte",
    "state": "MG",
    "postal_code": "31270901",
}
DORMENTE = {
    "code": "CLI-0004",
    "name": "Dormente Ltda",
    "tax_id": "94444444000160",
    "credit_limit": "5000.00",
    "active": False,
    "email": "contato@dormente.example",
    "phone": "+55 41 5550-0104",
    "street": "Travessa do Sossego",
    "number": "9",
    "complement": "Sala 2",
    "district": "Batel",
    "city": "Curitiba",
    "state": "PR",
    "postal_code": "80420090",
}
CUSTOMERS = (AURORA, BREVE, CAMPO, DORMENTE)
"""Known to both systems. `credit_limit` None: no limit. `active` False: blocked in the ERP."""

ESTRELA = {
    "code": "",
    "name": "Estrela Nova Ferragens Ltda",
    "tax_id": "95555555000106",
    "credit_limit": None,
    "active": True,
    "email": "compras@estrela-nova.example",
    "phone": "+55 51 5550-0105",
    "street": "Rua dos Navegantes",
    "number": "210",
    "complement": "",
    "district": "Floresta",
    "city": "Porto Alegre",
    "state": "RS",
    "postal_code": "90220010",
}
"""Known to the CRM only: reaches the ERP with its first won deal."""

FAROL = {
    "code": "",
    "name": "Farol Serviços Ltda",
    "tax_id": "",
    "credit_limit": None,
    "active": True,
    "email": "contato@farol-servicos.example",
    "phone": "+55 48 5550-0106",
    "street": "Rua da Praia",
    "number": "",
    "complement": "",
    "district": "Centro",
    "city": "Florianópolis",
    "state": "SC",
    "postal_code": "88010400",
}
"""Known to the CRM only, without a tax id and without a street number: cannot be billed as it stands."""

FAROL_TAX_ID = "96666666000152"
"""What a salesperson would type to put Farol right."""

GABRIELA = {"name": "Gabriela Pessoa de Teste", "email": "gabriela@pessoa.example", "phone": "+55 11 5550-0107"}
"""A person with no company."""

PAYMENT_TERMS = (
    {"name": "À vista", "days": (0,)},
    {"name": "30 dias", "days": (30,)},
    {"name": "28/56 dias", "days": (28, 56)},
)

PRODUCTS = tuple(
    {"code": f"SKU-{i:04d}", "name": f"{kind} {size}", "price": f"{10 + i}.00", "unit": "UN"}
    for i, (kind, size) in enumerate(
        (kind, size)
        for kind in ("Parafuso sextavado", "Porca autotravante", "Arruela lisa", "Chumbador", "Barra roscada", "Abraçadeira")
        for size in ("M6", "M8", "M10", "M12")
    )
)
"""SKU-0000 to SKU-0023, price 10.00 + i."""

UNKNOWN_PRODUCT = {"code": "SKU-9999", "name": "Suporte especial sob encomenda", "price": "99.00", "unit": "UN"}
"""In the CRM only: an order with it cannot enter the ERP."""

SALES = (
    {"name": "Sofia Vendas", "email": "sofia@ponte.example"},
    {"name": "Vitor Vendas", "email": "vitor@ponte.example"},
)
MANAGER = {"name": "Marina Gerente", "email": "marina@ponte.example"}
INTEGRATION = {"name": "Integração Ponte", "email": "integracao@ponte.example"}
FINANCE = {"name": "Fabio Financeiro", "email": "fabio@ponte.example"}
"""Who approves in the ERP."""
